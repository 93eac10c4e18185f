import type { IncomingMessage, ServerResponse } from "node:http";
import type { Http2ServerRequest, Http2ServerResponse } from "node:http2";
import { Code, ConnectError, createContextValues } from "@connectrpc/connect";
import type { UniversalHandler } from "@connectrpc/connect/protocol";
import { universalRequestFromNodeRequest, universalResponseToNodeResponse } from "@connectrpc/connect-node";
import type { Logger } from "#lib/logger.ts";
import { type Caller, callerKey } from "./admission.ts";
import { requestError } from "./request-error.ts";
import { sendError } from "./send-error.ts";

export type NodeRequest = IncomingMessage | Http2ServerRequest;
export type NodeResponse = ServerResponse | Http2ServerResponse;
export type UniversalRequest = Parameters<UniversalHandler>[0];
export type UniversalResponse = Awaited<ReturnType<UniversalHandler>>;

/**
 * Serves one call by its handler, as connect-node's own adapter does, but survives a host that is none, of which
 * connect-node builds a URL.
 */
export function serveCall(
  handler: (request: UniversalRequest) => Promise<UniversalResponse>,
  request: NodeRequest,
  response: NodeResponse,
  { caller, logger }: { readonly caller: Caller; readonly logger: Logger },
): void {
  const contextValues = createContextValues().set(callerKey, caller);
  let call: UniversalRequest;
  try {
    call = universalRequestFromNodeRequest(request, response, undefined, contextValues);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    sendError(request, response, requestError(400, Code.InvalidArgument, `malformed host or path: ${why}`));
    return;
  }
  handler(call)
    .then((result) => universalResponseToNodeResponse(result, response))
    .catch((error: unknown) => onFailure(error, request, response, logger));
}

/** Logs that a response could not be made or sent, and ends it, unless the caller has left. */
export function onFailure(
  error: unknown,
  request: NodeRequest,
  response: NodeResponse,
  logger: Logger,
): void {
  if (ConnectError.from(error).code === Code.Aborted || response.destroyed) return;
  logger.error({ err: error, path: request.url }, "failed to respond");
  if (response.headersSent) response.destroy();
  else sendError(request, response, requestError(500, Code.Internal, "internal error"));
}
