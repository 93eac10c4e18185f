import type { IncomingMessage, ServerResponse } from "node:http";
import type { Http2ServerRequest, Http2ServerResponse } from "node:http2";

/** Why a request is answered before any handler: by an error's code in the words of Connect and in the number of gRPC. */
export interface RequestRefusal {
  readonly httpStatus: number;
  readonly code: string;
  readonly grpcStatus: number;
  readonly message: string;
}

/** Answers in the protocol of the request: a gRPC status for gRPC and gRPC-Web, Connect's JSON for all else. */
export function refuseRequest(
  { headers }: Pick<IncomingMessage | Http2ServerRequest, "headers">,
  response: ServerResponse | Http2ServerResponse,
  refusal: RequestRefusal,
): void {
  const answer = refusalAnswer(headers["content-type"], refusal);
  response.statusCode = answer.status;
  for (const [name, value] of Object.entries(answer.headers)) response.setHeader(name, value);
  response.end(answer.body);
}

/** The same as values, for an answer that is written in another way. */
export function refusalAnswer(
  contentType: string | undefined,
  { httpStatus, code, grpcStatus, message }: RequestRefusal,
) {
  if (contentType !== undefined && isGrpcOrGrpcWeb.test(contentType)) {
    const status = { "grpc-status": String(grpcStatus), "grpc-message": encodeURIComponent(message) };
    return { status: 200, headers: { "content-type": contentType, ...status }, body: "" };
  }
  const body = JSON.stringify({ code, message, details: [] });
  return { status: httpStatus, headers: { "content-type": "application/json" }, body };
}

/** gRPC itself, which needs HTTP/2 for its trailers; gRPC-Web does not. */
export function isGrpc(contentType: string | undefined): boolean {
  return /^application\/grpc($|[+; ])/i.test(contentType ?? "");
}

const isGrpcOrGrpcWeb = /^application\/grpc($|[-+; ])/i;
