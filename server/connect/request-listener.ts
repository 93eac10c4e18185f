import type { UniversalHandler } from "@connectrpc/connect/protocol";
import type { Logger } from "#lib/logger.ts";
import type { Caller } from "#rpc/admission.ts";
import { checkRequest, unknownPath } from "#rpc/request-error.ts";
import { sendError } from "#rpc/send-error.ts";
import { type NodeRequest, type NodeResponse, serveCall } from "#rpc/serve-call.ts";
import type { IngestRoutes } from "./ingest-routes.ts";

interface Routes extends IngestRoutes {
  /** Those that read every encoding. */
  readonly services: ReadonlyMap<string, UniversalHandler>;
}

/** Serves Connect and gRPC-Web over HTTP/1.1 and HTTP/2, by the handler for the path and the encoding. */
export function createRequestListener(routes: Routes, logger: Logger) {
  return (request: NodeRequest, response: NodeResponse, caller: Caller): void => {
    const [path = "", query] = (request.url ?? "").split("?", 2);
    // A GET, for calls without side effects, has no content type and names its encoding in the query.
    const encoding =
      request.method === "GET"
        ? `/${new URLSearchParams(query).get("encoding")}`
        : (request.headers["content-type"] ?? "");
    const isJson = /[/+]json\b/.test(encoding);
    const handler = (isJson ? routes.json : routes.binary).get(path) ?? routes.services.get(path);
    if (handler === undefined) return sendError(request, response, unknownPath(path));
    const error = checkRequest(handler, request);
    if (error !== undefined) return sendError(request, response, error);
    serveCall(handler, request, response, { caller, logger });
  };
}
