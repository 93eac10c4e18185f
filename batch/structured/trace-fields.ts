import { readId } from "../json/read-id.ts";
import { limits } from "../limits.ts";
import { eventNames, spanIdNames, traceIdNames } from "./field-names.ts";

/** The trace that the fields of a log name, as far as they name one. */
export interface TraceFields {
  readonly traceId?: Uint8Array;
  readonly spanId?: Uint8Array;
  readonly eventName?: string;
}

/** Leaves out what is no id, or too long a name: it stays in the message. */
export function readTraceFields(fields: ReadonlyMap<string, unknown>): TraceFields {
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
