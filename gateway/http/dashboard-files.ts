import { existsSync, readFileSync } from "node:fs";
import type { IncomingMessage, ServerResponse } from "node:http";
import { join } from "node:path";
import { Code } from "@connectrpc/connect";
import sirv from "sirv";
import { requestError, wrongMethod } from "#rpc/request-error.ts";
import { sendError } from "#rpc/send-error.ts";
import { acceptsHtml, namesHtml } from "./accept.ts";
import { isRead } from "./not-modified.ts";

/*
 * The dashboard is a few files, built by dashboard/build.ts. Every address of the dashboard gets index.html, which
 * routes in the browser; files under /assets/ carry a digest in their name and never change.
 */

/** Both return false, having done nothing, for a request that they do not serve. */
export interface DashboardHandler {
  /** Serves the dashboard's files. */
  serve(request: IncomingMessage, response: ServerResponse): boolean;
  /** Answers a browser at an unknown address with a page that says so. */
  serveNotFound(request: IncomingMessage, response: ServerResponse): boolean;
}

/** Serves the files in `folder`, listed once; without an index.html there it serves nothing. */
export function createDashboardHandler(folder: string): DashboardHandler {
  const indexFile = join(folder, "index.html");
  if (!existsSync(indexFile)) return { serve: () => false, serveNotFound: () => false };
  const index = readFileSync(indexFile);
  return {
    serve: createFileHandler(folder),
    serveNotFound(request, response) {
      if (!isRead(request) || !namesHtml(request)) return false;
      setHeaders(response, "/");
      response.statusCode = 404;
      response.setHeader("content-type", "text/html;charset=utf-8");
      response.end(index);
      return true;
    },
  };
}

function createFileHandler(folder: string): DashboardHandler["serve"] {
  const serve = sirv(folder, { etag: true, gzip: true, setHeaders });
  return (request, response) => {
    const path = (request.url ?? "/").split("?", 1)[0] ?? "/";
    const isPage = pagePaths.test(path);
    if (!isPage && !filePaths.test(path)) return false;
    // At "/" a program that accepts anything gets the index of addresses; a browser asks for HTML.
    if (path === "/" && !(isRead(request) && namesHtml(request))) return false;
    if (!isRead(request)) {
      sendError(request, response, wrongMethod(request.method, ["GET", "HEAD"]));
      return true;
    }
    if (isPage && !acceptsHtml(request)) {
      sendError(request, response, notAcceptable(path));
      return true;
    }
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

function notAcceptable(path: string) {
  const message = `${path} is HTML, which this request does not accept; JSON is at /openapi.json and /v1/`;
  return requestError(406, Code.InvalidArgument, message, { vary: "accept" });
}

function setHeaders(response: ServerResponse, path: string): void {
  response.setHeader("x-content-type-options", "nosniff");
  // Sirv has replaced what was there.
  response.setHeader("vary", "origin, accept, accept-encoding");
  if (path.startsWith("/assets/")) {
    response.setHeader("cache-control", "public, max-age=31536000, immutable");
    return;
  }
  response.setHeader("cache-control", "no-cache");
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
