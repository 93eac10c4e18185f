import { gunzipSync } from "node:zlib";
import { base64Decode } from "@bufbuild/protobuf/wire";
import { compressedFlag, encodeEnvelope, type UniversalHandler } from "@connectrpc/connect/protocol";
import { InvalidFieldError, show } from "../fields/invalid-field.ts";

/*
 * Connect unpacks requests itself and answers RESOURCE_EXHAUSTED, which clients retry, when the result is too large. So it
 * is given none: what is compressed is unpacked here, to the limit and not beyond. Brotli is refused: its decoder fills the
 * window before it gives anything out, so that 53 bytes took 29 ms of CPU (gzip: 0.05 ms) whatever the limit said.
 */

type UniversalRequest = Parameters<UniversalHandler>[0];

/** The message of a request, in memory and without compression. */
export interface PlainMessage {
  /** "other": what only Connect can tell, and refuses. */
  readonly format: "binary" | "json" | "other";
  readonly bytes: Uint8Array;
  /** The same request with nothing compressed in it. */
  readonly request: UniversalRequest;
}

/**
 * Reads the message of a request; undefined for one that was parsed already, that of a REST call. Throws an
 * {@link InvalidFieldError} for one that is too large, packed or unpacked, or is not packed as it says.
 */
export async function readPlainMessage(
  request: UniversalRequest,
  bytesMax: number,
): Promise<PlainMessage | undefined> {
  if (request.method === "GET") return plainQuery(request, bytesMax);
  const bytes = await readBody(request.body, bytesMax);
  if (bytes === undefined) return undefined;
  const contentType = request.header.get("content-type")?.toLowerCase().split(";", 1)[0]?.trim();
  const { format, envelope } = formats.get(contentType ?? "") ?? { format: "other" as const };
  if (format === "other") return { format, bytes, request: withBody(request, bytes) };
  return envelope === undefined
    ? plainBody(request, format, bytes, bytesMax)
    : plainEnvelope(request, format, bytes, { bytesMax, encoding: request.header.get(envelope) });
}

type Format = "binary" | "json";

/** `envelope`: the header that names the compression of what is in envelopes. */
const formats = new Map<string, { readonly format: Format; readonly envelope?: string }>([
  ["application/proto", { format: "binary" }],
  ["application/json", { format: "json" }],
  ["application/connect+proto", { format: "binary", envelope: "connect-content-encoding" }],
  ["application/connect+json", { format: "json", envelope: "connect-content-encoding" }],
  ...["application/grpc", "application/grpc-web"].flatMap((type) => [
    [type, { format: "binary", envelope: "grpc-encoding" }] as const,
    [`${type}+proto`, { format: "binary", envelope: "grpc-encoding" }] as const,
    [`${type}+json`, { format: "json", envelope: "grpc-encoding" }] as const,
  ]),
]);

/** Its length is bounded with the address; Connect reads it once more. */
function plainQuery(request: UniversalRequest, bytesMax: number): PlainMessage {
  const query = new URL(request.url).searchParams;
  const message = query.get("message") ?? "";
  const bytes = query.get("base64") === "1" ? fromBase64(message) : new TextEncoder().encode(message);
  const unpacked = unpack(bytes, query.get("compression"), bytesMax);
  if (unpacked === undefined) return { format: "other", bytes, request };
  return { format: query.get("encoding") === "json" ? "json" : "binary", bytes: unpacked, request };
}

function plainBody(
  request: UniversalRequest,
  format: Format,
  bytes: Uint8Array,
  bytesMax: number,
): PlainMessage {
  const unpacked = unpack(bytes, request.header.get("content-encoding"), bytesMax);
  if (unpacked === undefined) return { format: "other", bytes, request: withBody(request, bytes) };
  const plain = withBody(request, unpacked);
  plain.header.delete("content-encoding");
  return { format, bytes: unpacked, request: plain };
}

/** One flag byte, four of length, and the message: all requests have exactly one. */
function plainEnvelope(
  request: UniversalRequest,
  format: Format,
  bytes: Uint8Array,
  { bytesMax, encoding }: { readonly bytesMax: number; readonly encoding: string | null },
): PlainMessage {
  const [flag = 0] = bytes;
  const length = bytes.length < 5 ? 0 : Buffer.from(bytes.buffer, bytes.byteOffset).readUInt32BE(1);
  if (bytes.length !== 5 + length) {
    throw new InvalidFieldError(
      "request",
      `${bytes.length} bytes with an envelope of ${length}, expected one envelope with one message`,
    );
  }
  const unpacked = unpack(bytes.subarray(5), flag === compressedFlag ? encoding : null, bytesMax);
  if (unpacked === undefined || (flag & ~compressedFlag) !== 0) {
    return { format: "other", bytes, request: withBody(request, bytes) };
  }
  return { format, bytes: unpacked, request: withBody(request, encodeEnvelope(0, unpacked)) };
}

/** Undefined: Connect does not know that compression either. */
function unpack(bytes: Uint8Array, encoding: string | null, bytesMax: number): Uint8Array | undefined {
  if (encoding === null || encoding === "" || encoding === "identity") return bytes;
  if (encoding === "br")
    throw new InvalidFieldError("request", "compressed by br, expected gzip or no compression");
  if (encoding !== "gzip") return undefined;
  try {
    // At most 64 KiB, for which another thread is a detour.
    return gunzipSync(bytes, { maxOutputLength: bytesMax });
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const problem =
      code === "ERR_BUFFER_TOO_LARGE"
        ? `decompresses to more than ${bytesMax} bytes`
        : `is not valid gzip (${message})`;
    throw new InvalidFieldError("request", `${problem}, expected at most ${bytesMax} bytes`);
  }
}

function fromBase64(message: string): Uint8Array {
  try {
    return base64Decode(message);
  } catch {
    throw new InvalidFieldError("message", `${show(message)}, expected base64, as base64=1 says`);
  }
}

/** undefined for a body that was parsed already: that of a REST call. */
async function readBody(body: UniversalRequest["body"], bytesMax: number): Promise<Uint8Array | undefined> {
  if (typeof body !== "object" || body === null || !(Symbol.asyncIterator in body)) return undefined;
  const chunks: Uint8Array[] = [];
  let size = 0;
  // Not `for await`: to leave that early destroys the connection, and the answer with it.
  const iterator = body[Symbol.asyncIterator]();
  for (;;) {
    const chunk = await iterator.next();
    if (chunk.done === true) return Buffer.concat(chunks);
    size += chunk.value.byteLength;
    if (size > bytesMax) throw new InvalidFieldError("request", `expected at most ${bytesMax} bytes`);
    chunks.push(chunk.value);
  }
}

/** Its length may be another one than that which came. */
function withBody(request: UniversalRequest, bytes: Uint8Array): UniversalRequest {
  const header = new Headers(request.header);
  header.delete("content-length");
  return { ...request, header, body: iterate(bytes) };
}

async function* iterate(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}
