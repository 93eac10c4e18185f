import type { UniversalHandler } from "@connectrpc/connect/protocol";
import type { Logger } from "#lib/logger.ts";
import type { Caller } from "#rpc/admission.ts";
import type { StartRpc } from "#rpc/call-metrics.ts";
import type { Cors } from "#rpc/cors.ts";
import { isGrpcWebText, withText } from "#rpc/grpc-web-text.ts";
import { checkRequest, unknownPath } from "#rpc/request-error.ts";
import { sendError } from "#rpc/send-error.ts";
import { type NodeRequest, type NodeResponse, serveCall, type UniversalRequest } from "#rpc/serve-call.ts";
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
  readonly cors: Cors;
  readonly startRpc: StartRpc;
  readonly logger: Logger;
}

/** Serves Connect, gRPC-Web and the endpoints over HTTP/1.1 and HTTP/2, by the path and the encoding. */
export function createRequestListener(routes: Routes, { cors, startRpc, logger }: ListenerOptions) {
  return (request: NodeRequest, response: NodeResponse, caller: Caller): void => {
    if (cors.handle(request, response)) return;
    const [path = "", query] = (request.url ?? "").split("?", 2);
    if (otlpPaths.has(path)) return routes.otlp(request, response);
    const isText = asBinary(request);
    const isGet = request.method === "GET" || request.method === "HEAD";
    // A GET, for calls without side effects, has no content type and names its encoding in the query.
    const encoding = isGet
      ? `/${new URLSearchParams(query).get("encoding")}`
      : (request.headers["content-type"] ?? "");
    const isJson = /[/+]json\b/.test(encoding);
    const handler = (isJson ? routes.json : routes.binary).get(path) ?? routes.services.get(path);
    if (handler === undefined) {
      const endpoint = findEndpoint(routes.endpoints, path);
      if (endpoint === undefined) return sendError(request, response, unknownPath(path));
      return serveEndpoint(endpoint, request, response, { startRpc, logger });
    }
    const error = checkRequest(withHead(handler), request);
    if (error !== undefined) return sendError(request, response, error);
    const asGet = (call: UniversalRequest) => handler(isGet ? { ...call, method: "GET" } : call);
    serveCall(isText ? withText(asGet) : asGet, request, response, { caller, logger });
  };
}

/** HEAD is read as GET. */
function withHead(handler: UniversalHandler): UniversalHandler {
  const { allowedMethods } = handler;
  if (!allowedMethods.includes("GET")) return handler;
  return Object.assign((call: UniversalRequest) => handler(call), handler, {
    allowedMethods: [...allowedMethods, "HEAD"],
  });
}

/** Other names of an encoding become the one that connect-node knows. Returns whether the body is base64. */
function asBinary({ headers }: NodeRequest): boolean {
  const contentType = headers["content-type"] ?? "";
  if (/^application\/x-protobuf($|[; ])/i.test(contentType)) headers["content-type"] = "application/proto";
  if (!isGrpcWebText(contentType)) return false;
  headers["content-type"] = "application/grpc-web+proto";
  return true;
}
