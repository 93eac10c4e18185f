import type { IncomingMessage, ServerResponse } from "node:http";
import { cors as ofConnect } from "@connectrpc/connect";

/** Lets pages of other origins read. Answers a preflight request itself and returns true; any other goes on. */
export type Cors = (request: IncomingMessage, response: ServerResponse) => boolean;

/**
 * `origins` may read, "*" stands for all; everyone else gets no header, and so nothing from the browser. Cookies and
 * passwords are never allowed: the gateway knows none, and a proxy in front that does must not lend them to other pages.
 */
export function createCors(origins: readonly string[]): Cors {
  if (origins.length === 0) return () => false;
  const allowed = new Set(origins);
  return (request, response) => {
    const { origin = "", "access-control-request-method": asked } = request.headers;
    response.setHeader("vary", "origin");
    if (origin === "" || !(allowed.has(origin) || allowed.has("*"))) return false;
    response.setHeader("access-control-allow-origin", origin);
    if (request.method === "OPTIONS" && asked !== undefined) {
      response.writeHead(204, preflight).end();
      return true;
    }
    response.setHeader("access-control-expose-headers", exposed);
    return false;
  };
}

const preflight = {
  "access-control-allow-methods": ofConnect.allowedMethods.join(", "),
  "access-control-allow-headers": [...ofConnect.allowedHeaders, "If-None-Match", "Last-Event-ID"].join(", "),
  "access-control-max-age": "7200",
  vary: "origin, access-control-request-method, access-control-request-headers",
};
const exposed = [...ofConnect.exposedHeaders, "Content-Disposition", "ETag", "Retry-After", "X-Cache"].join(
  ", ",
);
