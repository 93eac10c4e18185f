import { readId } from "#batch/json/read-id.ts";
import { limits } from "#batch/limits.ts";
import type { DeviceRecord } from "#client/stream/record.ts";

/** The trace of a line, as far as its fields name one; a line that names none has no fields here. */
export type LineTrace = Pick<DeviceRecord, "traceId" | "spanId" | "eventName">;

const traceIdNames = ["trace_id", "traceId", "trace.id", "TraceId", "traceid"];
const spanIdNames = ["span_id", "spanId", "span.id", "SpanId", "spanid"];
const eventNames = ["event_name", "eventName", "event.name", "EventName"];

/** Leaves out what is no id, or too long a name: it stays in the message. */
export function readLineTrace(fields: ReadonlyMap<string, unknown>): LineTrace {
  const traceId = readFirstId(fields, traceIdNames, limits.traceIdBytes);
  const spanId = readFirstId(fields, spanIdNames, limits.spanIdBytes);
  const eventName = firstText(fields, eventNames);
  const hasName = Buffer.byteLength(eventName) <= limits.eventNameBytesMax && !eventName.includes("\0");
  return {
    ...(traceId && { traceId }),
    ...(spanId && { spanId }),
    ...(eventName !== "" && hasName && { eventName }),
  };
}

function readFirstId(
  fields: ReadonlyMap<string, unknown>,
  names: readonly string[],
  size: number,
): Uint8Array | undefined {
  const id = readId(firstText(fields, names), size);
  return id?.some((byte) => byte !== 0) ? id : undefined;
}

function firstText(fields: ReadonlyMap<string, unknown>, names: readonly string[]): string {
  const text = names.map((name) => fields.get(name)).find((value) => typeof value === "string");
  return text?.toWellFormed() ?? "";
}
