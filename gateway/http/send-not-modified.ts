import type { IncomingMessage, ServerResponse } from "node:http";
import type { UniversalHandler } from "@connectrpc/connect/protocol";

type UniversalResponse = Awaited<ReturnType<UniversalHandler>>;

/** Answers 304, without the body, when the caller says that it has this very answer (RFC 9110, 13.1.2). */
export function sendNotModified(
  request: IncomingMessage,
  response: ServerResponse,
  result: UniversalResponse,
): boolean {
  const etag = result.header?.get("etag");
  const known = request.headers["if-none-match"];
  if (request.method !== "GET" || result.status !== 200 || !etag || known === undefined) return false;
  if (!known.split(",").some((one) => one.trim() === etag)) return false;
  for (const name of ["etag", "cache-control", "x-cache"]) {
    const value = result.header?.get(name);
    if (value) response.setHeader(name, value);
  }
  response.writeHead(304).end();
  return true;
}
