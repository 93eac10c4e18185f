import type { IncomingHttpHeaders, IncomingMessage } from "node:http";
import type { UniversalResponse } from "#rpc/serve-call.ts";

/** The response, or 304 without the body when the caller says that it has this very one (RFC 9110, 13.1.2). */
export function notModified(request: IncomingMessage, response: UniversalResponse): UniversalResponse {
  const etag = response.header?.get("etag");
  if (response.status !== 200 || !etag || !isRead(request) || !hasVersion(request, etag)) return response;
  const header = new Headers();
  for (const name of ["etag", "cache-control", "x-cache"]) {
    const value = response.header?.get(name);
    if (value) header.set(name, value);
  }
  return { status: 304, header };
}

/** Whether If-None-Match names this version, or any by "*". A proxy may have made the tag weak. */
export function hasVersion({ headers }: { readonly headers: IncomingHttpHeaders }, etag: string): boolean {
  const known = headers["if-none-match"]?.split(",").map((one) => one.trim().replace(/^W\//, "")) ?? [];
  return known.includes("*") || known.includes(etag.replace(/^W\//, ""));
}

/** HEAD is GET without the body. */
export function isRead({ method }: { readonly method?: string | undefined }): boolean {
  return method === "GET" || method === "HEAD";
}
