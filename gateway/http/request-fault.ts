import { type DescMessage, fromBinary, fromJson, fromJsonString, type JsonValue } from "@bufbuild/protobuf";
import type { UniversalRequest } from "#rpc/serve-call.ts";
import { InvalidFieldError, show } from "../fields/invalid-field.ts";
import { unknownField } from "../fields/unknown-field.ts";
import { isLogFilter } from "../rest/query-parameters.ts";
import { jsonOptions } from "../rpc/json-options.ts";
import { type PlainMessage, readPlainMessage } from "./plain-message.ts";
import { binaryShapeFault, jsonShapeFault } from "./request-shape.ts";

/*
 * Connect answers a malformed binary request with INTERNAL, a too large one with RESOURCE_EXHAUSTED, which devices
 * and dashboards would retry, and a malformed JSON one without naming the field. So every request is parsed here
 * first. What is found is put into the call's context and thrown by the gate, which Connect runs before it reads:
 * so the answer has the right shape in each protocol. Requests are small; parsing twice costs microseconds.
 */

/** The request with its body read and unpacked, and its problem, if any. */
export async function inspectRequest(
  request: UniversalRequest,
  input: DescMessage,
  bytesMax: number,
): Promise<{ request: UniversalRequest; fault: InvalidFieldError | undefined }> {
  try {
    const message = await readPlainMessage(request, bytesMax);
    if (message === undefined) return { request, fault: undefined };
    return { request: message.request, fault: messageFault(input, message) };
  } catch (error) {
    if (error instanceof InvalidFieldError) return { request, fault: error };
    throw error;
  }
}

function messageFault(input: DescMessage, { format, bytes }: PlainMessage): InvalidFieldError | undefined {
  if (format === "binary") return binaryShapeFault(input, bytes) ?? binaryFault(input, bytes);
  if (format === "json") return jsonShapeFault(bytes) ?? jsonFault(input, utf8.decode(bytes));
  return undefined;
}

function binaryFault(input: DescMessage, message: Uint8Array): InvalidFieldError | undefined {
  try {
    fromBinary(input, message);
    return undefined;
  } catch (error) {
    return new InvalidFieldError("request", `not a ${input.typeName}: ${messageOf(error)}`);
  }
}

/** protobuf-es does not say which field it could not read: that is found by reading them one by one. */
function jsonFault(input: DescMessage, json: string): InvalidFieldError | undefined {
  try {
    fromJsonString(input, json, jsonOptions);
    return undefined;
  } catch (error) {
    const fault = firstFieldFault(input, parsed(json));
    return fault ?? new InvalidFieldError("request", `not a ${input.typeName}: ${messageOf(error)}`);
  }
}

/** Null for what is not JSON at all: then no field is at fault. */
function parsed(json: string): JsonValue {
  try {
    return JSON.parse(json) as JsonValue;
  } catch {
    return null;
  }
}

function firstFieldFault(input: DescMessage, json: JsonValue): InvalidFieldError | undefined {
  if (typeof json !== "object" || json === null || Array.isArray(json)) return undefined;
  for (const [name, value] of Object.entries(json)) {
    try {
      fromJson(input, { [name]: value }, jsonOptions);
    } catch (error) {
      return fieldFault(input, name, value, error);
    }
  }
  return undefined;
}

function fieldFault(input: DescMessage, name: string, value: JsonValue, error: unknown): InvalidFieldError {
  const field = input.fields.find((one) => one.name === name || one.jsonName === name);
  if (field === undefined) return unknownField(input.fields, name);
  const inFilter = isLogFilter(field) ? firstFieldFault(field.message, value) : undefined;
  if (inFilter !== undefined) return inFilter;
  const why = messageOf(error).replace(/^cannot decode .* from JSON: /, "");
  return new InvalidFieldError(field.name, `${show(JSON.stringify(value))}, ${why}`);
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

const utf8 = new TextDecoder();
