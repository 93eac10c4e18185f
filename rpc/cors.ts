import type { IncomingHttpHeaders } from "node:http";
import { cors as ofConnect } from "@connectrpc/connect";
import type { NodeRequest, NodeResponse } from "./serve-call.ts";

/** Lets pages of other origins call. */
export interface Cors {
  /** The headers of every response to the request, an error or not. */
  headers(request: { readonly headers: IncomingHttpHeaders }): Readonly<Record<string, string>>;
  /** Sets these headers, and answers a preflight request: then returns true. */
  handle(request: NodeRequest, response: NodeResponse): boolean;
}

/**
 * `origins` may call, "*" stands for all; everyone else gets no header, and so nothing from the browser. Cookies and
 * passwords are never allowed: Fleetlog knows none, and a proxy in front that does must not lend them to other pages.
 */
export function createCors(origins: readonly string[]): Cors {
  const allowed = new Set(origins);
  const headers: Cors["headers"] = ({ headers: { origin = "" } }) => {
    if (allowed.size === 0) return {};
    if (origin === "" || !(allowed.has(origin) || allowed.has("*"))) return { vary: "origin" };
    return {
      vary: "origin",
      "access-control-allow-origin": origin,
      "access-control-expose-headers": exposed,
    };
  };
  return {
    headers,
    handle(request, response) {
      const set = headers(request);
      for (const [name, value] of Object.entries(set)) response.setHeader(name, value);
      const isPreflight =
        request.method === "OPTIONS" && request.headers["access-control-request-method"] !== undefined;
      if (!isPreflight || set["access-control-allow-origin"] === undefined) return false;
      response.statusCode = 204;
      for (const [name, value] of Object.entries(preflight)) response.setHeader(name, value);
      response.end();
      return true;
    },
  };
}

const preflight = {
  "access-control-allow-methods": [...ofConnect.allowedMethods, "HEAD"].join(", "),
  "access-control-allow-headers": [
    ...ofConnect.allowedHeaders,
    "If-None-Match",
    "Last-Event-ID",
    "Content-Encoding",
    "Fleetlog-Session",
    "Fleetlog-Sequence",
    // Added by browser instrumentation of OpenTelemetry.
    "Traceparent",
    "Tracestate",
    "Baggage",
  ].join(", "),
  "access-control-max-age": "7200",
  vary: "origin, access-control-request-method, access-control-request-headers",
};
const exposed = [
  ...ofConnect.exposedHeaders,
  "Allow",
  "Content-Disposition",
  "ETag",
  "Retry-After",
  "X-Cache",
].join(", ");
