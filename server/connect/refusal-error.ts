import { Code, ConnectError } from "@connectrpc/connect";
import { badRequest, retryInfo } from "#rpc/error-details.ts";
import { invalidArgument, type Refusal, resourceExhausted, unavailable } from "../outcome.ts";

const codes = {
  [invalidArgument]: Code.InvalidArgument,
  [resourceExhausted]: Code.ResourceExhausted,
  [unavailable]: Code.Unavailable,
} as const;

/** A refusal as the error of a call, with its details. */
export function refusalError({ code, field, message, retryDelayMs }: Refusal): ConnectError {
  if (code === unavailable && retryDelayMs === 0) return new ConnectError(message, codes[code]);
  const detail = code === invalidArgument ? badRequest(field, message) : retryInfo(retryDelayMs);
  return new ConnectError(message, codes[code], undefined, [detail]);
}
