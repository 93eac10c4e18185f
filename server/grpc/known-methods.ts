import type { IncomingHttpHeaders, ServerHttp2Stream } from "node:http2";
import { Server, status } from "@grpc/grpc-js";
import { type RequestRefusal, refusalAnswer } from "#lib/refuse-request.ts";

/** A server of grpc-js that tells which methods it has. */
export class KnowingServer extends Server {
  readonly #paths = new Set<string>();

  override register<Request, Response>(
    ...method: Parameters<typeof Server.prototype.register<Request, Response>>
  ): boolean {
    this.#paths.add(method[0]);
    return super.register(...method);
  }

  /** By its path, such as "/grpc.health.v1.Health/Check". */
  has(path: string | undefined): boolean {
    return path !== undefined && this.#paths.has(path);
  }
}

/**
 * Answers a call that is no gRPC, or of a method that there is not, as grpc-js would. It must not get there: grpc-js
 * answers such calls without a look whether they have been cancelled, and throws where nobody catches. Returns whether
 * the call was one of them.
 */
export function refuseUnknown(
  stream: ServerHttp2Stream,
  headers: IncomingHttpHeaders,
  server: KnowingServer,
): boolean {
  const { ":path": path, "content-type": contentType = "" } = headers;
  const isGrpc = contentType.startsWith("application/grpc");
  if (isGrpc && server.has(path)) return false;
  const message = isGrpc
    ? `The server does not implement the method ${path}`
    : `content-type ${JSON.stringify(contentType)} is not taken here: send application/grpc`;
  refuse(stream, headers, {
    httpStatus: 415,
    code: "unimplemented",
    grpcStatus: status.UNIMPLEMENTED,
    message,
  });
  return true;
}

export function refuse(
  stream: ServerHttp2Stream,
  headers: IncomingHttpHeaders,
  refusal: RequestRefusal,
): void {
  stream.on("error", () => {}); // told by the close that follows
  if (stream.destroyed || stream.closed) return; // cancelled in the same breath as it was made
  const answer = refusalAnswer(headers["content-type"], refusal);
  stream.respond({ ":status": answer.status, ...answer.headers }, { endStream: answer.body === "" });
  if (answer.body !== "") stream.end(answer.body);
}
