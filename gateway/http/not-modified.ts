import type { IncomingMessage } from "node:http";
import type { UniversalResponse } from "#rpc/serve-call.ts";

/** The response, or 304 without the body when the caller says that it has this very one (RFC 9110, 13.1.2). */
export function notModified(
  { method, headers }: IncomingMessage,
  response: UniversalResponse,
): UniversalResponse {
  const etag = response.header?.get("etag");
  const known = headers["if-none-match"];
  if (method !== "GET" || response.status !== 200 || !etag || known === undefined) return response;
  if (!known.split(",").some((one) => one.trim() === etag)) return response;
  const header = new Headers();
  for (const name of ["etag", "cache-control", "x-cache"]) {
    const value = response.header?.get(name);
    if (value) header.set(name, value);
  }
  return { status: 304, header };
}
