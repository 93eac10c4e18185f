import { create, type Message } from "@bufbuild/protobuf";
import { limits } from "#batch/limits.ts";
import {
  type AttributeCondition,
  type LogFilter as FilterMessage,
  LogFilterSchema,
} from "#proto/gen/fleetlog/v1/query_pb.ts";
import { InvalidFieldError, show } from "../fields/invalid-field.ts";
import { type OpenTimeRange, readTimeRange, type TimeFields } from "../fields/time-range.ts";
import { anySeverity, everything, type LogFilter, severitiesFrom } from "./log-filter.ts";

/** The conditions of a request: the fields of the message LogFilter. */
export type LogFilterFields = Omit<FilterMessage, keyof Message>;

/** The filter of a request. Throws an {@link InvalidFieldError} for the first invalid field. */
export function readLogFilter(
  request: TimeFields & { readonly filter?: FilterMessage | undefined },
): LogFilter {
  const { filter = create(LogFilterSchema) } = request;
  // A condition of a newer client: ignoring it would return more than was requested.
  for (const { no } of filter.$unknown ?? []) {
    throw new InvalidFieldError(
      "filter",
      `field ${no} is not known here, expected the conditions of LogFilter`,
    );
  }
  return { ...readConditions(filter), ...readTimeRange(request) };
}

function readConditions(fields: LogFilterFields): Omit<LogFilter, keyof OpenTimeRange> {
  const {
    deviceId,
    deviceIds,
    excludedDeviceIds,
    sessionId,
    minSeverity,
    severities,
    text,
    words,
    excludedText,
    loggerPrefix,
    excludedLoggerPrefixes,
    attributes,
    excludedAttributes,
    traceId,
    ...unread
  } = fields;
  unread satisfies Record<string, never>; // a new field of LogFilter does not compile until it is read here
  const devices = readDeviceIds("device_ids", deviceIds);
  if (deviceId !== "") devices.push(readDeviceId("device_id", deviceId));
  return {
    deviceIds: devices,
    excludedDeviceIds: readDeviceIds("excluded_device_ids", excludedDeviceIds),
    sessionId: readSessionId(sessionId, devices),
    severities: severitiesFrom(readSeverity("min_severity", minSeverity)) & readSeverities(severities),
    traceId: readTraceId(traceId),
    loggerPrefix: readText("logger_prefix", loggerPrefix),
    excludedLoggerPrefixes: atMost("excluded_logger_prefixes", excludedLoggerPrefixes, conditionsMax).map(
      (prefix) => readText("excluded_logger_prefixes", prefix, 1),
    ),
    attributes: readAttributes("attributes", attributes),
    excludedAttributes: readAttributes("excluded_attributes", excludedAttributes),
    texts: [...readPhrase("text", text), ...readWords(words)],
    excludedTexts: readPhrase("excluded_text", excludedText),
  };
}

export function readDeviceId(field: string, deviceId: string): string {
  if (deviceIdForm.test(deviceId)) return deviceId;
  throw new InvalidFieldError(
    field,
    `${show(deviceId)}, expected 1 to ${limits.deviceIdBytesMax} characters of A-Z a-z 0-9 . _ : -`,
  );
}

/** A text to search for; characters that no stored text has are refused. */
export function readText(field: string, text: string, charactersMin = 0): string {
  if (text.length > textCharactersMax || text.length < charactersMin) {
    const wanted = charactersMin === 0 ? "at most" : `${charactersMin} to`;
    throw new InvalidFieldError(field, `${text.length} characters, expected ${wanted} ${textCharactersMax}`);
  }
  if (text.includes("\0") || !text.isWellFormed()) {
    throw new InvalidFieldError(field, `${show(text)}, expected text without NUL`);
  }
  return text;
}

/** Equal for two filters exactly when they have the same conditions. */
export function describeFilter(filter: LogFilter): string {
  return JSON.stringify({ ...everything, ...filter }, (_, value: unknown) =>
    typeof value === "bigint" ? String(value) : value,
  );
}

function readDeviceIds(field: string, deviceIds: readonly string[]): string[] {
  return atMost(field, deviceIds, devicesMax).map((deviceId) => readDeviceId(field, deviceId));
}

function readSessionId(sessionId: string, deviceIds: readonly string[]): string | undefined {
  if (sessionId === "") return undefined;
  if (!sessionIdForm.test(sessionId)) {
    throw new InvalidFieldError("session_id", `${show(sessionId)}, expected a session_id of a record`);
  }
  if (deviceIds.length !== 1) {
    throw new InvalidFieldError("session_id", `${show(sessionId)}, requires exactly one device_id`);
  }
  return sessionId;
}

/** The bits of the given severities; all when none is given. */
function readSeverities(severities: readonly number[]): number {
  if (severities.length === 0) return anySeverity;
  return severities.reduce((bits, severity) => bits | (1 << readSeverity("severities", severity)), 0);
}

function readSeverity(field: string, severity: number): number {
  if (severity >= 0 && severity <= limits.severityMax) return severity;
  throw new InvalidFieldError(field, `${severity}, expected 0 to ${limits.severityMax}`);
}

/** All zeros is no trace, so no record has it. */
function readTraceId(traceId: string): string | undefined {
  if (traceId === "") return undefined;
  if (traceIdForm.test(traceId)) return traceId.toLowerCase();
  throw new InvalidFieldError("trace_id", `${show(traceId)}, expected 32 hex digits, not all zeros`);
}

function readPhrase(field: string, text: string): string[] {
  return text === "" ? [] : [readText(field, text)];
}

function readWords(words: string): readonly string[] {
  return atMost("words", readText("words", words).split(" ").filter(Boolean), conditionsMax);
}

function readAttributes(field: string, conditions: readonly AttributeCondition[]): LogFilter["attributes"] {
  return atMost(field, conditions, conditionsMax).map(({ name, value }) => {
    for (const [part, text] of [["name", name] as const, ["value", value ?? ""] as const]) {
      if (text.includes("\0") || !text.isWellFormed()) {
        throw new InvalidFieldError(field, `${part} ${show(text)}, expected text without NUL`);
      }
    }
    const bytes = Buffer.byteLength(name);
    if (bytes < 1 || bytes > limits.attributeKeyBytesMax) {
      const wanted = `expected a name of 1 to ${limits.attributeKeyBytesMax} bytes`;
      throw new InvalidFieldError(field, `${show(name)}, ${wanted}`);
    }
    const valueBytes = Buffer.byteLength(value ?? "");
    if (valueBytes > limits.attributeValueBytesMax) {
      const wanted = `expected at most ${limits.attributeValueBytesMax}`;
      throw new InvalidFieldError(field, `a value of ${valueBytes} bytes, ${wanted}`);
    }
    return { name, value };
  });
}

function atMost<T>(field: string, values: readonly T[], max: number): readonly T[] {
  if (values.length <= max) return values;
  throw new InvalidFieldError(field, `${values.length} values, expected at most ${max}`);
}

export const deviceIdForm = new RegExp(`^[A-Za-z0-9._:-]{1,${limits.deviceIdBytesMax}}$`);
export const sessionIdForm = new RegExp(`^~?[A-Za-z0-9._:-]{1,${limits.sessionIdBytesMax}}$`);
export const traceIdForm = /^(?!0{32}$)[0-9A-Fa-f]{32}$/;
/** Counted in UTF-16 units: most emoji are two. */
export const textCharactersMax = 256;
export const devicesMax = 100;
export const conditionsMax = 8;
