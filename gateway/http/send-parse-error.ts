import type { Duplex } from "node:stream";
import { Code, ConnectError } from "@connectrpc/connect";
import { errorText } from "#rpc/send-error.ts";

/** Answers what Node could not read as a request, in the same shape as every error, and ends the connection. */
export function sendParseError(error: NodeJS.ErrnoException, socket: Duplex): void {
  if (!socket.writable || error.code === "ECONNRESET") {
    socket.destroy();
    return;
  }
  const [status, code, message] = answers[error.code ?? ""] ?? malformed;
  const body = errorText(new ConnectError(message, code));
  socket.end(
    `HTTP/1.1 ${status}\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\nconnection: close\r\n\r\n${body}`,
  );
}

const malformed = ["400 Bad Request", Code.InvalidArgument, "malformed HTTP request"] as const;
const answers: Readonly<Record<string, readonly [status: string, code: Code, message: string]>> = {
  HPE_HEADER_OVERFLOW: [
    "431 Request Header Fields Too Large",
    Code.InvalidArgument,
    "URL and headers are too large, expected at most 48 KiB together",
  ],
  ERR_HTTP_REQUEST_TIMEOUT: [
    "408 Request Timeout",
    Code.DeadlineExceeded,
    "the request did not arrive in time",
  ],
};
