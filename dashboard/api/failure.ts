import { Code, ConnectError } from "@connectrpc/connect";

/** An error in the user's words, and whether a retry may help. */
export interface Failure {
  readonly title: string;
  readonly detail: string;
  readonly canRetry: boolean;
}

/** Undefined when the dashboard itself aborted the request. */
export function toFailure(error: unknown): Failure | undefined {
  const { code, rawMessage } = ConnectError.from(error);
  if (code === Code.Canceled || (error instanceof DOMException && error.name === "AbortError"))
    return undefined;
  return { title: titles.get(code) ?? "The gateway is unreachable", ...toAdvice(code, rawMessage) };
}

const titles = new Map([
  [Code.InvalidArgument, "Invalid query"],
  [Code.NotFound, "Not found"],
  [Code.Unimplemented, "Not supported by this gateway"],
  [Code.DeadlineExceeded, "The query timed out"],
  [Code.ResourceExhausted, "The gateway is overloaded"],
  [Code.Unavailable, "Temporarily unavailable"],
]);

function toAdvice(code: Code, message: string): Pick<Failure, "detail" | "canRetry"> {
  if (code === Code.InvalidArgument || code === Code.NotFound || code === Code.Unimplemented) {
    return { detail: message, canRetry: false };
  }
  if (code === Code.DeadlineExceeded) {
    const detail = "Use a shorter time range, a single device or a higher severity.";
    return { detail, canRetry: true };
  }
  const isKnown = code === Code.Unavailable || code === Code.ResourceExhausted;
  return { detail: isKnown ? message : `Is Fleetlog running? ${message}`, canRetry: true };
}
