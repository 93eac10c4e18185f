import { Code, ConnectError } from "@connectrpc/connect";
import { codeToString } from "@connectrpc/connect/protocol-connect";
import type { Logger } from "#lib/logger.ts";
import type { StartRpc } from "#rpc/call-metrics.ts";
import { badRequest } from "#rpc/error-details.ts";
import { type RequestError, wrongMethod } from "#rpc/request-error.ts";
import { sendError } from "#rpc/send-error.ts";
import { type NodeRequest, type NodeResponse, onFailure } from "#rpc/serve-call.ts";
import { refusalError } from "../connect/refusal-error.ts";
import { TooLargeError } from "../decompressor.ts";
import { toRefusal } from "../ingest.ts";

/** An address that takes POST, without a description in protobuf. */
export interface HttpEndpoint {
  /** One that ends with "/" stands for all below it. */
  readonly path: string;
  /** Name of the method in the metrics of calls. */
  readonly method: string;
  /** Returns the response in JSON. Errors are mapped to a status: ConnectError, InvalidBatchError, RequestFailure. */
  readonly post: (request: NodeRequest) => Promise<string>;
}

/** An error with a status and headers of its own. */
export class RequestFailure extends Error {
  override readonly name = "RequestFailure";
  readonly reason: RequestError;

  constructor(reason: RequestError) {
    super(reason.error.message);
    this.reason = reason;
  }
}

export function findEndpoint(endpoints: readonly HttpEndpoint[], path: string): HttpEndpoint | undefined {
  return endpoints.find((endpoint) =>
    endpoint.path.endsWith("/") ? path.startsWith(endpoint.path) : path === endpoint.path,
  );
}

/** Serves one request of an endpoint, and counts it among the calls. */
export function serveEndpoint(
  { method, post }: HttpEndpoint,
  request: NodeRequest,
  response: NodeResponse,
  { startRpc, logger }: { readonly startRpc: StartRpc; readonly logger: Logger },
): void {
  if (request.method !== "POST") return sendError(request, response, wrongMethod(request.method, ["POST"]));
  const end = startRpc("unary", "http", method);
  const respond = (body: string): void => {
    end("OK");
    response.setHeader("content-type", "application/json");
    response.setHeader("cache-control", "no-store");
    response.end(body);
  };
  const fail = (error: unknown): void => {
    const reason = toRequestError(error);
    end(codeToString(reason?.error.code ?? Code.Internal));
    if (reason === undefined) return onFailure(error, request, response, logger);
    // The rest of the body is not read.
    const closes = request.httpVersionMajor < 2 && !request.complete;
    const headers = { ...reason.headers, ...(closes && { connection: "close" }) };
    sendError(request, response, { ...reason, headers });
  };
  post(request).then(respond, fail);
}

/** Undefined: not an error of the request. */
function toRequestError(error: unknown): RequestError | undefined {
  if (error instanceof RequestFailure) return error.reason;
  if (error instanceof ConnectError) return { error, httpStatus: statuses.get(error.code) ?? 500 };
  if (error instanceof TooLargeError) {
    const { field, message } = error;
    const details = [badRequest(field, message)];
    return { error: new ConnectError(message, Code.InvalidArgument, undefined, details), httpStatus: 413 };
  }
  try {
    const refused = refusalError(toRefusal(error));
    return { error: refused, httpStatus: statuses.get(refused.code) ?? 500 };
  } catch {
    return undefined;
  }
}

const statuses: ReadonlyMap<Code, number> = new Map([
  [Code.InvalidArgument, 400],
  [Code.ResourceExhausted, 429],
  [Code.Unavailable, 503],
]);
