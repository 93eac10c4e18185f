import type { IncomingHttpHeaders, ServerHttp2Stream } from "node:http2";
import { Code } from "@connectrpc/connect";
import {
  isGrpc,
  type RequestError,
  requestError,
  unknownPath,
  wrongContentType,
  wrongMethod,
} from "#rpc/request-error.ts";
import { errorResponse } from "#rpc/send-error.ts";
import { isOtherSignal, logsOnly } from "../otlp/service.ts";
import { acceptEncoding } from "./message.ts";
import type { MethodRegistry } from "./method-registry.ts";

/** Ends a call that no method serves. */
export function rejectCall(
  stream: ServerHttp2Stream,
  headers: IncomingHttpHeaders,
  error: RequestError,
): void {
  const response = errorResponse(headers["content-type"], error);
  stream.respond(
    { ":status": response.status, ...response.headers, "grpc-accept-encoding": acceptEncoding },
    { endStream: response.body === "" },
  );
  if (response.body !== "") stream.end(response.body);
  stream.resume(); // the request is dropped as it arrives
}

/** Why the call is of no method here; undefined: it is of one. */
export function rejectUnknownMethod(
  { ":path": path = "", ":method": method, "content-type": contentType }: IncomingHttpHeaders,
  methods: Pick<MethodRegistry, "has">,
): RequestError | undefined {
  if (!isGrpc(contentType)) return wrongContentType(contentType, "application/grpc", Code.Unimplemented);
  if (method !== "POST") return wrongMethod(method, ["POST"]);
  if (methods.has(path)) return undefined;
  return isOtherSignal(path) ? requestError(404, Code.Unimplemented, logsOnly(path)) : unknownPath(path);
}

/** https://github.com/grpc/grpc/blob/master/doc/compression.md */
export function rejectUnknownEncoding({
  "grpc-encoding": encoding = "identity",
}: IncomingHttpHeaders): RequestError | undefined {
  if (encoding === "identity" || encoding === "gzip") return undefined;
  const message = `grpc-encoding ${JSON.stringify(encoding)}: expected gzip or identity`;
  return requestError(400, Code.Unimplemented, message);
}
