import type { IncomingMessage, ServerResponse } from "node:http";
import type { Http2ServerRequest, Http2ServerResponse } from "node:http2";
import type { ConnectError } from "@connectrpc/connect";
import { errorToJson } from "@connectrpc/connect/protocol-connect";
import { setTrailerStatus } from "@connectrpc/connect/protocol-grpc";
import { RetryInfoSchema } from "#proto/gen/google/rpc/error_details_pb.ts";
import { isGrpc, isGrpcWeb, type RequestError } from "./request-error.ts";

/** Sends what no handler could: a status for gRPC and gRPC-Web, Connect's JSON for all else. */
export function sendError(
  { headers }: Pick<IncomingMessage | Http2ServerRequest, "headers">,
  response: ServerResponse | Http2ServerResponse,
  error: RequestError,
): void {
  const { status, headers: responseHeaders, body } = errorResponse(headers["content-type"], error);
  response.statusCode = status;
  for (const [name, value] of Object.entries(responseHeaders)) response.setHeader(name, value);
  // Node leaves it out of the response to HEAD.
  if (body !== "") response.setHeader("content-length", Buffer.byteLength(body));
  response.end(body);
}

/** The same as values, for a stream of node:http2. */
export function errorResponse(contentType: string | undefined, { error, httpStatus, headers }: RequestError) {
  const hasStatus = isGrpcWeb(contentType) || (isGrpc(contentType) && !saysNoGrpc.has(httpStatus));
  if (contentType !== undefined && hasStatus) {
    const trailers = setTrailerStatus(new Headers({ "content-type": contentType }), error);
    return { status: 200, headers: { ...Object.fromEntries(trailers), ...headers }, body: "" };
  }
  const [retry] = error.findDetails(RetryInfoSchema);
  return {
    status: httpStatus,
    headers: {
      "content-type": "application/json",
      "cache-control": "no-store",
      ...(retry?.retryDelay && { "retry-after": String(retry.retryDelay.seconds) }),
      ...headers,
    },
    body: errorText(error),
  };
}

/** The error in Connect's JSON, where every error has a code, a message and details. */
export function errorText(error: ConnectError): string {
  return completeErrorText(errorToJson(error, undefined));
}

/** The same for an error that is in JSON already. */
export function completeErrorText(json: object): string {
  return JSON.stringify({ code: "unknown", message: "", details: [], ...json });
}

/** That gRPC is not served is not said in gRPC: over HTTP/1.1 it has no trailers. */
const saysNoGrpc: ReadonlySet<number> = new Set([415, 505]);
