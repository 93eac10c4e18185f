import { Code, ConnectError } from "@connectrpc/connect";
import {
  createAsyncIterable,
  encodeEnvelope,
  transformSplitEnvelope,
  type UniversalHandler,
} from "@connectrpc/connect/protocol";
import { codeFromString } from "@connectrpc/connect/protocol-connect";
import { findTrailerError, setTrailerStatus } from "@connectrpc/connect/protocol-grpc";
import { trailerFlag, trailerParse, trailerSerialize } from "@connectrpc/connect/protocol-grpc-web";
import { badRequest } from "./error-details.ts";
import { completeErrorText, errorText } from "./send-error.ts";
import type { UniversalRequest, UniversalResponse } from "./serve-call.ts";

/**
 * connect-node blames us for bytes that are no message and for compressed ones whose encoding was not named (INTERNAL),
 * and answers too many bytes with RESOURCE_EXHAUSTED. All are the client's errors, and either code would make it send
 * them again. Returns undefined for any other error.
 */
export function asInvalidArgument(code: Code | undefined, message: string): ConnectError | undefined {
  if (!isClientError(code, message)) return undefined;
  const problem = message.replace(/^parse binary:/, "request is not an encoded message:");
  return new ConnectError(problem, Code.InvalidArgument, undefined, [badRequest("request", problem)]);
}

function isClientError(code: Code | undefined, message: string): boolean {
  if (code === Code.ResourceExhausted) return message.includes("readMaxBytes");
  return code === Code.Internal && unreadable.test(message);
}

const unreadable = /^(?:parse binary: |received compressed envelope|decompression failed$)/;

/**
 * Does this to the responses of unary calls, whose requests connect-node reads before any interceptor sees the call
 * (those of streams pass the interceptors of create-handlers.ts). Also gives every error in JSON its message and details.
 */
export function mapClientErrors(handler: UniversalHandler): UniversalHandler {
  if (handler.method.methodKind !== "unary") return handler;
  const mapped = async (request: UniversalRequest): Promise<UniversalResponse> => {
    const response = await handler(request);
    const contentType = response.header?.get("content-type") ?? "";
    if (contentType.startsWith("application/grpc-web")) return mapTrailers(response);
    return response.status >= 400 && contentType === "application/json" ? mapJson(response) : response;
  };
  return Object.assign(mapped, handler);
}

/** Connect: the error is the whole body. */
async function mapJson(response: UniversalResponse): Promise<UniversalResponse> {
  // Long enough to be compressed: that is none of connect-node's own, and has details.
  if (response.body === undefined || response.header?.has("content-encoding")) return response;
  const text = Buffer.concat(await Array.fromAsync(response.body)).toString();
  const error = JSON.parse(text) as { code: string; message?: string };
  const clientError = asInvalidArgument(codeFromString(error.code), error.message ?? "");
  const body = Buffer.from(clientError ? errorText(clientError) : completeErrorText(error));
  const header = new Headers(response.header);
  header.set("content-length", String(body.length));
  return {
    ...response,
    status: clientError ? 400 : response.status,
    header,
    body: createAsyncIterable([body]),
  };
}

/** gRPC-Web: the error is in the last frame of the body, which holds the trailers. */
function mapTrailers(response: UniversalResponse): UniversalResponse {
  return response.body === undefined ? response : { ...response, body: mapFrames(response.body) };
}

async function* mapFrames(body: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array> {
  for await (const { flags, data } of transformSplitEnvelope(envelopeBytesMax)(body)) {
    yield encodeEnvelope(flags, flags === trailerFlag ? mapTrailerFrame(data) : data);
  }
}

function mapTrailerFrame(frame: Uint8Array): Uint8Array {
  const trailers = trailerParse(frame);
  const error = findTrailerError(trailers);
  const clientError = error && asInvalidArgument(error.code, error.rawMessage);
  return clientError ? trailerSerialize(setTrailerStatus(trailers, clientError)) : frame;
}

/** The response is our own: as many bytes as an envelope can have. */
const envelopeBytesMax = 0xffff_ffff;
