import { createHash } from "node:crypto";
import { existsSync, globSync, readFileSync } from "node:fs";
import type { IncomingMessage, ServerResponse } from "node:http";
import { extname, join } from "node:path";
import { acceptsGzip } from "./accepts-gzip.ts";

/*
 * The page is a few files, built by dashboard/build.ts, that fit into memory. Every path of the page is answered with
 * index.html, which finds its place from the address; files under /assets/ carry a digest in their name and never change.
 */

/** Answers what belongs to the page. Returns false, having done nothing, for what does not. */
export type DashboardHandler = (request: IncomingMessage, response: ServerResponse) => boolean;

/** Reads the built page from `folder`; without one nothing belongs to it. */
export function createDashboardHandler(folder: string): DashboardHandler {
  const files = readFiles(folder);
  const index = files.get("/index.html");
  return (request, response) => {
    if (index === undefined || (request.method !== "GET" && request.method !== "HEAD")) return false;
    const path = (request.url ?? "/").split("?", 1)[0] ?? "/";
    // At "/" a program that asks for anything gets the index of addresses; a browser asks for HTML.
    const isPage = pagePaths.test(path) && (request.headers.accept ?? "").includes("text/html");
    const file = isPage ? index : path === "/index.html" ? undefined : files.get(path);
    if (file === undefined) return false;
    answer(file, request, response);
    return true;
  };
}

const pagePaths = /^\/(?:(?:live|health|devices|docs)\/?|devices\/[A-Za-z0-9._:-]{1,128})?$/;

interface PageFile {
  readonly headers: Readonly<Record<string, string>>;
  readonly etag: string;
  readonly plain: Buffer;
  readonly gzipped: Buffer;
}

function answer(file: PageFile, request: IncomingMessage, response: ServerResponse): void {
  const isGzip = acceptsGzip(request);
  const body = isGzip ? file.gzipped : file.plain;
  // A compressed answer is another representation, with a tag of its own (RFC 9110, 8.8.3.3).
  const etag = isGzip ? file.etag.replace(/"$/, '-gzip"') : file.etag;
  const headers = { ...file.headers, etag };
  if (request.headers["if-none-match"]?.split(/\s*,\s*/).includes(etag)) {
    response.writeHead(304, headers).end();
    return;
  }
  response.writeHead(200, {
    ...headers,
    ...(isGzip ? { "content-encoding": "gzip" } : {}),
    "content-length": body.length,
  });
  response.end(request.method === "HEAD" ? undefined : body);
}

function readFiles(folder: string): ReadonlyMap<string, PageFile> {
  if (!existsSync(join(folder, "index.html"))) return new Map();
  const names = globSync("**/*.{html,js,css,svg}", { cwd: folder });
  return new Map(names.map((name) => [`/${name}`, readFile(folder, name)]));
}

function readFile(folder: string, name: string): PageFile {
  const plain = readFileSync(join(folder, name));
  const isNamedByDigest = name.startsWith("assets/");
  return {
    plain,
    gzipped: readFileSync(join(folder, `${name}.gz`)),
    etag: `"${createHash("sha256").update(plain).digest("base64url").slice(0, 22)}"`,
    headers: {
      "content-type": `${contentTypes[extname(name)]}; charset=utf-8`,
      "cache-control": isNamedByDigest ? "public, max-age=31536000, immutable" : "no-cache",
      vary: "accept, accept-encoding",
      "x-content-type-options": "nosniff",
      ...(name.endsWith(".html") ? htmlHeaders : {}),
    },
  };
}

const contentTypes: Readonly<Record<string, string>> = {
  ".html": "text/html",
  ".js": "text/javascript",
  ".css": "text/css",
  ".svg": "image/svg+xml",
};

/** Whatever a log may hold, the browser runs nothing but the page's own files and talks to nobody but the gateway. */
const htmlHeaders = {
  "content-security-policy": [
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
  ].join("; "),
  "referrer-policy": "no-referrer",
  "x-frame-options": "DENY",
};
