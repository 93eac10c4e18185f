import { Code } from "@connectrpc/connect";
import { codeFromString } from "@connectrpc/connect/protocol-connect";
import { BrokenPromiseError } from "./block.ts";

/** What came back over HTTP, of whichever version. */
export interface Response {
  /** 0: the connection or stream ended without one. */
  readonly status: number;
  /** Trailers included. */
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
  readonly body: Buffer;
}

/**
 * The code of an answer in a word, wherever its protocol has it: in the trailers (gRPC), in the last frame (gRPC-Web and
 * streams of Connect), in the body (Connect), or only in the HTTP status. Throws for one that blames us.
 */
export function readCode({ status, headers, body }: Response): string {
  if (status === 0) return "hung up";
  const text = body.toString("latin1");
  const inFrame = /^grpc-status: ?(\d+)\r?$/im.exec(text)?.[1];
  const inJson = /"code":\s*"([a-z_]+)"/.exec(text)?.[1];
  const grpcStatus = headers["grpc-status"]?.toString() ?? inFrame;
  const code = grpcStatus === undefined ? inJson && codeFromString(inJson) : Number(grpcStatus);
  const message = headers["grpc-message"]?.toString() ?? text.slice(0, 200);
  if (status >= 500 && !sendersStatuses.has(status))
    throw new BrokenPromiseError(`HTTP ${status}: ${message}`);
  if (code === Code.Internal || code === Code.Unknown) {
    throw new BrokenPromiseError(`${Code[code]} with HTTP ${status}: ${message}`);
  }
  if (code === undefined) return `HTTP ${status}`;
  return code === 0 ? "OK" : (Code[Number(code)] ?? `code ${code}`);
}

/** What is not implemented, such as a compression; a deadline of the sender's own; another version of HTTP. */
const sendersStatuses: ReadonlySet<number> = new Set([501, 504, 505]);
