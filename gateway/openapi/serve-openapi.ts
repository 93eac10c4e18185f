import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import type { IncomingMessage, ServerResponse } from "node:http";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { acceptsGzip } from "../http/accept.ts";
import { hasVersion } from "../http/not-modified.ts";

/** Serves gateway/openapi/openapi.json. */
export function createOpenapiHandler() {
  const plain = readFileSync(join(import.meta.dirname, "openapi.json"));
  const gzipped = gzipSync(plain);
  const etag = `W/"${createHash("sha256").update(plain).digest("base64url").slice(0, 22)}"`;
  return (request: IncomingMessage, response: ServerResponse): void => {
    response.appendHeader("vary", "accept-encoding");
    const headers = { etag, "cache-control": "no-cache" };
    if (hasVersion(request, etag)) {
      response.writeHead(304, headers).end();
      return;
    }
    const isGzip = acceptsGzip(request);
    const body = isGzip ? gzipped : plain;
    response.writeHead(200, {
      ...headers,
      "content-type": "application/json",
      "content-length": body.length,
      ...(isGzip && { "content-encoding": "gzip" }),
    });
    response.end(body);
  };
}
