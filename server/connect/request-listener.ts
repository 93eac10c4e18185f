import type { UniversalHandler } from "@connectrpc/connect/protocol";
import type { Logger } from "#lib/logger.ts";
import type { Caller } from "#rpc/admission.ts";
import type { StartRpc } from "#rpc/call-metrics.ts";
import { checkRequest, unknownPath } from "#rpc/request-error.ts";
import { sendError } from "#rpc/send-error.ts";
import { type NodeRequest, type NodeResponse, serveCall } from "#rpc/serve-call.ts";
import { findEndpoint, type HttpEndpoint, serveEndpoint } from "../http/http-endpoint.ts";
import { otlpPaths } from "../otlp/http.ts";
import type { IngestRoutes } from "./ingest-routes.ts";

interface Routes extends IngestRoutes {
  /** Those that read every encoding. */
  readonly services: ReadonlyMap<string, UniversalHandler>;
  readonly endpoints: readonly HttpEndpoint[];
  /** Serves OTLP/HTTP. */
  readonly otlp: (request: NodeRequest, response: NodeResponse) => void;
}

interface ListenerOptions {
  readonly startRpc: StartRpc;
  readonly logger: Logger;
}

/** Serves Connect, gRPC-Web and the endpoints over HTTP/1.1 and HTTP/2, by the path and the encoding. */
export function createRequestListener(routes: Routes, { startRpc, logger }: ListenerOptions) {
  return (request: NodeRequest, response: NodeResponse, caller: Caller): void => {
    const [path = "", query] = (request.url ?? "").split("?", 2);
    if (otlpPaths.has(path)) return routes.otlp(request, response);
    // A GET, for calls without side effects, has no content type and names its encoding in the query.
    const encoding =
      request.method === "GET"
        ? `/${new URLSearchParams(query).get("encoding")}`
        : (request.headers["content-type"] ?? "");
    const isJson = /[/+]json\b/.test(encoding);
    const handler = (isJson ? routes.json : routes.binary).get(path) ?? routes.services.get(path);
    if (handler === undefined) {
      const endpoint = findEndpoint(routes.endpoints, path);
      if (endpoint === undefined) return sendError(request, response, unknownPath(path));
      return serveEndpoint(endpoint, request, response, { startRpc, logger });
    }
    const error = checkRequest(handler, request);
    if (error !== undefined) return sendError(request, response, error);
    serveCall(handler, request, response, { caller, logger });
  };
}
