import { Code, ConnectError } from "@connectrpc/connect";
import {
  encodeEnvelope,
  type UniversalHandler,
  type UniversalServerResponse,
} from "@connectrpc/connect/protocol";
import { codeFromString, errorToJsonBytes } from "@connectrpc/connect/protocol-connect";
import { sendersMistake } from "./refusal-error.ts";

/**
 * Corrects the two errors that connect-node raises for a unary call before any handler or interceptor could see them:
 * see {@link sendersMistake}. Also gives its bodiless answers, such as 415, a body that says what is wrong.
 */
export function blameSender(handler: UniversalHandler): UniversalHandler {
  const corrected = async (request: Parameters<UniversalHandler>[0]): Promise<UniversalServerResponse> => {
    const response = await handler(request);
    if (response.body === undefined && response.status >= 400) {
      return explain(response, request.method, request.header.get("content-type"));
    }
    const contentType = response.header?.get("content-type") ?? "";
    if (contentType.startsWith("application/grpc-web")) return correctTrailer(response);
    if (response.status === 500 || response.status === 429) return correctError(response);
    return response;
  };
  return Object.assign(corrected, handler);
}

function explain(response: UniversalServerResponse, method: string, contentType: string | null) {
  const message =
    response.status === 415
      ? `content-type ${JSON.stringify(contentType ?? "")} is not supported: use application/json or application/proto`
      : response.status === 405
        ? `method ${method} is not allowed: use POST`
        : response.status === 505
          ? "streams need HTTP/2"
          : `HTTP ${response.status}`;
  return withError(response, new ConnectError(message, Code.InvalidArgument), response.status);
}

/** Connect: the error is the whole body, in JSON. */
async function correctError(response: UniversalServerResponse): Promise<UniversalServerResponse> {
  const body = await collect(response);
  const { code, message } = JSON.parse(body.toString()) as { code: string; message?: string };
  const mistake = sendersMistake(codeFromString(code) ?? Code.Unknown, message ?? "");
  return mistake ? withError(response, mistake, 400) : { ...response, body: once(body) };
}

/** gRPC-Web: the error is in the last frame of the body, which holds the trailers as text. */
function correctTrailer(response: UniversalServerResponse): UniversalServerResponse {
  return response.body === undefined ? response : { ...response, body: correctFrames(response.body) };
}

async function* correctFrames(frames: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array> {
  for await (const frame of frames) {
    yield ((frame[0] ?? 0) & trailerFlag) === 0 ? frame : correctTrailerFrame(frame);
  }
}

const trailerFlag = 0x80;

function correctTrailerFrame(frame: Uint8Array): Uint8Array {
  const text = Buffer.from(frame.subarray(5)).toString();
  const status = /^grpc-status: (\d+)\r$/m.exec(text)?.[1];
  const message = /^grpc-message: (.*)\r$/m.exec(text)?.[1] ?? "";
  const mistake = sendersMistake(Number(status), decodeURIComponent(message));
  if (mistake === undefined) return frame;
  const trailers = `grpc-status: ${mistake.code}\r\ngrpc-message: ${encodeURIComponent(mistake.rawMessage)}\r\n`;
  return encodeEnvelope(frame[0] ?? trailerFlag, Buffer.from(trailers));
}

function withError(response: UniversalServerResponse, error: ConnectError, status: number) {
  const body = errorToJsonBytes(error, undefined);
  const header = new Headers(response.header);
  header.set("content-type", "application/json");
  header.set("content-length", String(body.length));
  header.delete("content-encoding");
  return { ...response, status, header, body: once(body) };
}

async function collect(response: UniversalServerResponse): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of response.body as AsyncIterable<Uint8Array>) chunks.push(chunk);
  return Buffer.concat(chunks);
}

async function* once(body: Uint8Array): AsyncIterable<Uint8Array> {
  yield body;
}
