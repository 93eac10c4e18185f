import type { ServerResponse } from "node:http";
import { Code, ConnectError } from "@connectrpc/connect";
import { codeToHttpStatus, errorToJson } from "@connectrpc/connect/protocol-connect";
import { RetryInfoSchema } from "#proto/gen/google/rpc/error_details_pb.ts";

/** Answers with an error in the shape of Connect's, for what is no RPC. The connection ends with it. */
export function sendError(
  response: ServerResponse,
  error: ConnectError,
  status: number = codeToHttpStatus(error.code),
): void {
  const [retry] = error.findDetails(RetryInfoSchema);
  response.writeHead(status, {
    "content-type": "application/json",
    "cache-control": "no-store",
    connection: "close",
    ...(retry?.retryDelay && { "retry-after": String(retry.retryDelay.seconds) }),
  });
  response.end(errorText(error));
}

export function errorText(error: ConnectError): string {
  return JSON.stringify({
    code: "unknown",
    message: "",
    details: [],
    ...(errorToJson(error, undefined) as object),
  });
}

/** The same for an error that is known by its words alone. */
export function sendCode(response: ServerResponse, status: number, code: Code, message: string): void {
  sendError(response, new ConnectError(message, code), status);
}
