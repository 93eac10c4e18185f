import { type DescMessage, fromBinary, fromJson, fromJsonString, type JsonValue } from "@bufbuild/protobuf";
import { base64Decode } from "@bufbuild/protobuf/wire";
import { createContextKey } from "@connectrpc/connect";
import type { UniversalHandler } from "@connectrpc/connect/protocol";
import { InvalidFieldError, show } from "../invalid-field.ts";
import { jsonOptions } from "../json-options.ts";
import { unknownField } from "../unknown-field.ts";

/*
 * Connect answers a malformed binary request with INTERNAL, a too large one with RESOURCE_EXHAUSTED, which devices
 * and dashboards would retry, and a malformed JSON one without naming the field. So every request is parsed here
 * first. What is found is put into the call's context and thrown by the gate, which Connect runs before it reads:
 * so the answer has the right shape in each protocol. Requests are small; parsing twice costs microseconds.
 */

type UniversalRequest = Parameters<UniversalHandler>[0];

/** What is wrong with the request of a call, known before the call begins. */
export const requestFault = createContextKey<InvalidFieldError | undefined>(undefined);

/** The request with its body read, and what is wrong with it. */
export async function inspectRequest(
  request: UniversalRequest,
  input: DescMessage,
  bytesMax: number,
): Promise<{ request: UniversalRequest; fault: InvalidFieldError | undefined }> {
  const bytes = request.method === "GET" ? bytesOfQuery(request.url) : await readBody(request.body, bytesMax);
  if (bytes instanceof InvalidFieldError) return { request, fault: bytes };
  if (bytes === "too large") {
    return { request, fault: new InvalidFieldError("request", `wanted at most ${bytesMax} bytes`) };
  }
  if (bytes === undefined) return { request, fault: undefined };
  const inspected = request.method === "GET" ? request : { ...request, body: iterate(bytes) };
  return { request: inspected, fault: parseFault(input, formatOf(request), bytes) };
}

type Format = "binary" | "json" | "enveloped binary" | "enveloped json" | "unknown";

/** Compressed requests are left to Connect, which decompresses within its own limit. */
function formatOf({ method, url, header }: UniversalRequest): Format {
  if (method === "GET") {
    const query = new URL(url).searchParams;
    if ((query.get("compression") || "identity") !== "identity") return "unknown";
    return query.get("encoding") === "json" ? "json" : "binary";
  }
  if ((header.get("content-encoding") ?? "identity") !== "identity") return "unknown";
  const contentType = header.get("content-type")?.toLowerCase().split(";", 1)[0]?.trim();
  return formats.get(contentType ?? "") ?? "unknown";
}

const formats = new Map<string, Format>([
  ["application/proto", "binary"],
  ["application/json", "json"],
  ["application/connect+proto", "enveloped binary"],
  ["application/connect+json", "enveloped json"],
  ["application/grpc", "enveloped binary"],
  ["application/grpc+proto", "enveloped binary"],
  ["application/grpc+json", "enveloped json"],
  ["application/grpc-web", "enveloped binary"],
  ["application/grpc-web+proto", "enveloped binary"],
  ["application/grpc-web+json", "enveloped json"],
]);

function parseFault(input: DescMessage, format: Format, bytes: Uint8Array): InvalidFieldError | undefined {
  let message = bytes;
  if (format.startsWith("enveloped")) {
    // One flag byte, 0 for uncompressed, and four of length.
    if (bytes.length < 5 || bytes[0] !== 0) return undefined;
    message = bytes.subarray(5);
  }
  if (format.endsWith("binary")) return binaryFault(input, message);
  if (format.endsWith("json")) return jsonFault(input, utf8.decode(message));
  return undefined;
}

function binaryFault(input: DescMessage, message: Uint8Array): InvalidFieldError | undefined {
  try {
    fromBinary(input, message);
    return undefined;
  } catch (error) {
    return new InvalidFieldError("request", `no ${input.typeName}: ${messageOf(error)}`);
  }
}

/** protobuf-es does not say which field it could not read: that is found by reading them one by one. */
function jsonFault(input: DescMessage, json: string): InvalidFieldError | undefined {
  try {
    fromJsonString(input, json, jsonOptions);
    return undefined;
  } catch (error) {
    for (const [name, value] of entriesOf(json)) {
      try {
        fromJson(input, { [name]: value }, jsonOptions);
      } catch (fieldError) {
        return fieldFault(input, name, value, fieldError);
      }
    }
    return new InvalidFieldError("request", `no ${input.typeName}: ${messageOf(error)}`);
  }
}

function entriesOf(json: string): [string, JsonValue][] {
  try {
    const value = JSON.parse(json) as unknown;
    return typeof value === "object" && value !== null ? Object.entries(value) : [];
  } catch {
    // Not JSON at all: no field is at fault.
    return [];
  }
}

function fieldFault(input: DescMessage, name: string, value: JsonValue, error: unknown): InvalidFieldError {
  const field = input.fields.find((one) => one.name === name || one.jsonName === name);
  if (field === undefined) return unknownField(input, name);
  const why = messageOf(error).replace(/^cannot decode .* from JSON: /, "");
  return new InvalidFieldError(field.name, `${show(JSON.stringify(value))}, ${why}`);
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function bytesOfQuery(url: string): Uint8Array | InvalidFieldError {
  const query = new URL(url).searchParams;
  const message = query.get("message") ?? "";
  if (query.get("base64") !== "1") return new TextEncoder().encode(message);
  try {
    return base64Decode(message);
  } catch {
    return new InvalidFieldError("message", `${show(message)}, wanted base64, as base64=1 says`);
  }
}

/** undefined for a body that was parsed already: that of a REST call. */
async function readBody(
  body: UniversalRequest["body"],
  bytesMax: number,
): Promise<Uint8Array | "too large" | undefined> {
  if (typeof body !== "object" || body === null || !(Symbol.asyncIterator in body)) return undefined;
  const chunks: Uint8Array[] = [];
  let size = 0;
  // Not `for await`: to leave that early destroys the connection, and the answer with it.
  const iterator = body[Symbol.asyncIterator]();
  for (;;) {
    const chunk = await iterator.next();
    if (chunk.done === true) return Buffer.concat(chunks);
    size += chunk.value.byteLength;
    if (size > bytesMax) return "too large";
    chunks.push(chunk.value);
  }
}

async function* iterate(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}

const utf8 = new TextDecoder();
