import { existsSync } from "node:fs";
import type { IncomingMessage, ServerResponse } from "node:http";
import { join } from "node:path";
import sirv from "sirv";

/*
 * The dashboard is a few files, built by dashboard/build.ts. Every address of the dashboard gets index.html, which
 * routes in the browser; files under /assets/ carry a digest in their name and never change.
 */

/** Serves the dashboard's files. Returns false, having done nothing, for any other request. */
export type DashboardHandler = (request: IncomingMessage, response: ServerResponse) => boolean;

/** Serves the files in `folder`, listed once; without an index.html there it serves nothing. */
export function createDashboardHandler(folder: string): DashboardHandler {
  if (!existsSync(join(folder, "index.html"))) return () => false;
  const serve = sirv(folder, { etag: true, gzip: true, setHeaders });
  return (request, response) => {
    if (request.method !== "GET" && request.method !== "HEAD") return false;
    const path = (request.url ?? "/").split("?", 1)[0] ?? "/";
    const isPage = pagePaths.test(path);
    // At "/" a program that accepts anything gets the index of addresses; a browser asks for HTML.
    if (isPage && !(request.headers.accept ?? "").includes("text/html")) return false;
    if (!isPage && !filePaths.test(path)) return false;
    const url = request.url;
    if (isPage) request.url = "/";
    let isServed = true;
    serve(request, response, () => {
      isServed = false;
    });
    if (!isServed && url !== undefined) request.url = url;
    return isServed;
  };
}

const pagePaths = /^\/(?:(?:live|health|devices|docs)\/?|devices\/[A-Za-z0-9._:-]{1,128})?$/;
const filePaths = /^\/(?:assets\/[\w-]+|[\w-]+)\.(?:js|css|svg)$/;

function setHeaders(response: ServerResponse, path: string): void {
  response.setHeader("x-content-type-options", "nosniff");
  if (path.startsWith("/assets/")) {
    response.setHeader("cache-control", "public, max-age=31536000, immutable");
    return;
  }
  response.setHeader("cache-control", "no-cache");
  response.setHeader("vary", "accept, accept-encoding");
  response.setHeader("content-security-policy", contentSecurityPolicy);
  response.setHeader("referrer-policy", "no-referrer");
  response.setHeader("x-frame-options", "DENY");
}

/** Whatever a log contains, the browser runs only the dashboard's own files and connects only to the gateway. */
const contentSecurityPolicy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "connect-src 'self'",
  "img-src 'self' data:",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
  "trusted-types 'none'",
].join("; ");
