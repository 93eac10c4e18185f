import { Code, ConnectError } from "@connectrpc/connect";

/** What went wrong, in words for the reader, and whether it may be better in a moment. */
export interface Failure {
  readonly title: string;
  readonly detail: string;
  readonly canRetry: boolean;
}

/** Undefined when the page itself gave the request up. */
export function failureOf(error: unknown): Failure | undefined {
  const { code, rawMessage } = ConnectError.from(error);
  if (code === Code.Canceled || (error instanceof DOMException && error.name === "AbortError"))
    return undefined;
  return { title: titles.get(code) ?? "The gateway does not answer", ...adviceOf(code, rawMessage) };
}

const titles = new Map([
  [Code.InvalidArgument, "The gateway cannot answer this question"],
  [Code.NotFound, "There is no such thing"],
  [Code.Unimplemented, "This gateway does not know that yet"],
  [Code.DeadlineExceeded, "That took too long"],
  [Code.ResourceExhausted, "The gateway has enough to do"],
  [Code.Unavailable, "The logs cannot be read at the moment"],
]);

function adviceOf(code: Code, message: string): Pick<Failure, "detail" | "canRetry"> {
  if (code === Code.InvalidArgument || code === Code.NotFound || code === Code.Unimplemented) {
    return { detail: message, canRetry: false };
  }
  if (code === Code.DeadlineExceeded) {
    const detail = "A shorter time range, one device or a higher severity makes it quicker.";
    return { detail, canRetry: true };
  }
  const isKnown = code === Code.Unavailable || code === Code.ResourceExhausted;
  return { detail: isKnown ? message : `Is Fleetlog running? ${message}`, canRetry: true };
}
