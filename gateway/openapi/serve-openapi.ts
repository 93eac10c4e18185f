import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import type { IncomingMessage, ServerResponse } from "node:http";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { acceptsGzip } from "../http/accepts-gzip.ts";

/** Serves gateway/openapi/openapi.json. */
export function createOpenapiHandler() {
  const plain = readFileSync(join(import.meta.dirname, "openapi.json"));
  const gzipped = gzipSync(plain);
  const etag = `W/"${createHash("sha256").update(plain).digest("base64url").slice(0, 22)}"`;
  return (request: IncomingMessage, response: ServerResponse): void => {
    response.appendHeader("vary", "accept-encoding");
    const headers = { etag, "cache-control": "no-cache" };
    if (request.headers["if-none-match"]?.split(/\s*,\s*/).includes(etag)) {
      response.writeHead(304, headers).end();
      return;
    }
    const isGzip = acceptsGzip(request);
    response.writeHead(200, {
      ...headers,
      "content-type": "application/json",
      ...(isGzip && { "content-encoding": "gzip" }),
    });
    response.end(isGzip ? gzipped : plain);
  };
}
