import { readId } from "#batch/json/read-id.ts";
import { limits } from "#batch/limits.ts";
import { parseSeverityField, severityByTen } from "#batch/structured/severity-field.ts";
import type { DeviceRecord } from "#client/stream/record.ts";
import type { AttributeValue } from "#proto/attributes.ts";
import { Severity } from "#proto/gen/fleetlog/v1/log_pb.ts";

/** Names of pino's fields, where the application has changed them. */
export interface PinoFieldNames {
  /** Default "msg". */
  readonly messageKey?: string | undefined;
  /** Default "err". */
  readonly errorKey?: string | undefined;
}

/** The attribute with what does not fit among the others, as JSON. */
const restKey = "rest";

const maxDepth = 8;

/**
 * The record of one line of pino. Nested values become attributes with dotted names; arrays, and what lies deeper than 8
 * levels, become JSON text. Texts are cut to the limits of a record, so that the server rejects none of them.
 */
export function toRecord(line: Readonly<Record<string, unknown>>, names: PinoFieldNames = {}): DeviceRecord {
  const { messageKey = "msg", errorKey = "err" } = names;
  const { level, time, name, trace_id: traceId, span_id: spanId, ...others } = line;
  const { [messageKey]: message, [errorKey]: error, ...fields } = others;
  const attributes = new Map<string, AttributeValue>();
  const rest: Record<string, unknown> = {};
  const add = (key: string, value: unknown, depth: number): void => {
    if (value === undefined) return;
    if (isPlainObject(value) && depth < maxDepth && Object.keys(value).length > 0) {
      for (const [inner, innerValue] of Object.entries(value)) add(`${key}.${inner}`, innerValue, depth + 1);
    } else if (key === "" || Buffer.byteLength(key) > limits.attributeKeyBytesMax || key.includes("\0")) {
      rest[key] = value;
    } else if (attributes.size < limits.attributesMax - 1 || attributes.has(key)) {
      attributes.set(key, toValue(value));
    } else {
      rest[key] = value;
    }
  };
  const trace = readHexId(traceId, limits.traceIdBytes);
  const span = readHexId(spanId, limits.spanIdBytes);
  if (trace === undefined) add("trace_id", traceId, 0);
  if (span === undefined) add("span_id", spanId, 0);
  addError(add, errorKey, error);
  for (const [key, value] of Object.entries(fields)) add(key, value, 0);
  if (Object.keys(rest).length > 0) attributes.set(restKey, toValue(rest));
  return {
    timeUnixNano: readTime(time),
    severity: readLevel(level),
    message: cut(typeof message === "string" ? message : toJson(message ?? ""), limits.messageBytesMax),
    ...(typeof name === "string" && { logger: cut(name, limits.loggerBytesMax) }),
    ...(trace && { traceId: trace }),
    ...(span && { spanId: span }),
    attributes: Object.fromEntries(attributes),
  };
}

/** An error as pino serializes it, under the names that OpenTelemetry gives its parts. */
function addError(add: (key: string, value: unknown, depth: number) => void, key: string, error: unknown) {
  if (!isPlainObject(error)) return add(key, error, 0);
  const { type, message, stack, ...others } = error;
  add("exception.type", type, 0);
  add("exception.message", message, 0);
  add("exception.stacktrace", stack, 0);
  for (const [inner, value] of Object.entries(others)) add(`${key}.${inner}`, value, 1);
}

/** pino counts in tens from 10 (trace) to 60 (fatal); a level of the application's own is that below it. */
function readLevel(level: unknown): Severity {
  if (typeof level === "string") return parseSeverityField(level) ?? Severity.UNSPECIFIED; // formatters.level: its label
  if (typeof level !== "number" || !(level > 0)) return Severity.UNSPECIFIED;
  return severityByTen[Math.min(Math.max(Math.floor(level / 10), 1), 6) - 1]!;
}

/** Milliseconds since 1970, or RFC 3339 with `stdTimeFunctions.isoTime`. 0n: none. */
function readTime(time: unknown): bigint {
  const ms = typeof time === "string" ? Date.parse(time) : time;
  return typeof ms === "number" && ms > 0 && ms < 8.64e15 ? BigInt(Math.round(ms * 1e3)) * 1_000n : 0n;
}

function readHexId(value: unknown, bytes: number): Uint8Array | undefined {
  return typeof value === "string" ? readId(value, bytes) : undefined;
}

function toValue(value: unknown): AttributeValue {
  if (typeof value === "string") return cut(value, limits.attributeValueBytesMax);
  if (typeof value === "number" || typeof value === "boolean" || value === null) return value;
  return cut(toJson(value), limits.attributeValueBytesMax);
}

function toJson(value: unknown): string {
  return JSON.stringify(value) ?? "";
}

/** At most `bytesMax` bytes of UTF-8, without NUL, which PostgreSQL cannot hold, and without half of a character. */
function cut(text: string, bytesMax: number): string {
  const clean = text.replaceAll("\0", "\uFFFD");
  if (Buffer.byteLength(clean) <= bytesMax) return clean;
  const bytes = Buffer.from(clean);
  let end = bytesMax - 3;
  while (end > 0 && (bytes[end]! & 0xc0) === 0x80) end -= 1;
  return `${bytes.toString("utf8", 0, end)}…`;
}

function isPlainObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
