import type { IncomingHttpHeaders, ServerHttp2Stream } from "node:http2";
import { status } from "@grpc/grpc-js";
import { isGrpc, type RequestRefusal, refusalAnswer } from "#lib/refuse-request.ts";
import { acceptEncoding } from "./message.ts";
import type { MethodRegistry } from "./method-registry.ts";

/** Answers a call that no method serves. */
export function rejectCall(
  stream: ServerHttp2Stream,
  headers: IncomingHttpHeaders,
  refusal: RequestRefusal,
): void {
  const answer = refusalAnswer(headers["content-type"], refusal);
  stream.respond(
    { ":status": answer.status, ...answer.headers, "grpc-accept-encoding": acceptEncoding },
    { endStream: answer.body === "" },
  );
  if (answer.body !== "") stream.end(answer.body);
  stream.resume(); // the request is dropped as it arrives
}

/** Why the call is of no method here; undefined: it is of one. */
export function rejectUnknownMethod(
  { ":path": path, ":method": method, "content-type": contentType = "" }: IncomingHttpHeaders,
  methods: Pick<MethodRegistry, "has">,
): RequestRefusal | undefined {
  if (!isGrpc(contentType)) {
    return unimplemented(415, `content-type ${JSON.stringify(contentType)}: send application/grpc`);
  }
  if (method !== "POST") return unimplemented(405, `HTTP method ${method}: send POST`);
  if (!methods.has(path)) return unimplemented(404, `The server does not implement the method ${path}`);
  return undefined;
}

/** https://github.com/grpc/grpc/blob/master/doc/compression.md */
export function rejectUnknownEncoding({
  "grpc-encoding": encoding = "identity",
}: IncomingHttpHeaders): RequestRefusal | undefined {
  if (encoding === "identity" || encoding === "gzip") return undefined;
  return unimplemented(415, `grpc-encoding ${JSON.stringify(encoding)}: send gzip or identity`);
}

function unimplemented(httpStatus: number, message: string): RequestRefusal {
  return { httpStatus, code: "unimplemented", grpcStatus: status.UNIMPLEMENTED, message };
}
