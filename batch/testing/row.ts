import { fromBinary } from "@bufbuild/protobuf";
import { readAttributes } from "#proto/attributes.ts";
import { LogRecordSchema } from "#proto/gen/fleetlog/v1/log_pb.ts";
import { limits } from "../limits.ts";

/** One row of `records`, in a form that can be compared as JSON. */
export interface Row {
  readonly batchId: string;
  readonly idx: number;
  /** µs since 1970. */
  readonly timeMicros: string;
  readonly severity: number;
  readonly logger: string;
  readonly message: string;
  /** By name; null when there are none. */
  readonly attributes: readonly (readonly [key: string, value: string])[] | null;
  /** In hex. */
  readonly traceId: string | null;
  readonly spanId: string | null;
  readonly eventName: string | null;
}

/** Attributes in an order that does not depend on who keeps them. */
export function sortedByName(attributes: Iterable<[key: string, value: string]>): [string, string][] {
  return [...attributes].toSorted(([a], [b]) => (a < b ? -1 : 1));
}

/**
 * The row that one encoded LogRecord has to become, by protobuf-es and the plainest reading of the limits; undefined
 * for a record that has to be rejected. Malformed protobuf throws.
 */
export function expectedRow(
  encoded: Uint8Array,
  batchId: bigint,
  idx: number,
  receivedAtMicros: number,
): Row | undefined {
  const record = decode(encoded);
  if (record === undefined) return undefined;
  const attributes = sortedByName(
    Object.entries(readAttributes(record.attributes) as Record<string, string>),
  );
  const good =
    record.severity >= 0 &&
    record.severity <= limits.severityMax &&
    fits(record.logger, limits.loggerBytesMax) &&
    fits(record.message, limits.messageBytesMax) &&
    fits(record.eventName, limits.eventNameBytesMax) &&
    [0, 16].includes(record.traceId.length) &&
    [0, 8].includes(record.spanId.length) &&
    attributes.length <= limits.attributesMax &&
    attributes.every(([key]) => key !== "" && fits(key, limits.attributeKeyBytesMax)) &&
    attributes.every(([, value]) => fits(value, limits.attributeValueBytesMax));
  if (!good) return undefined;
  const timeMicros = record.timeUnixNano === 0n ? BigInt(receivedAtMicros) : record.timeUnixNano / 1000n;
  return {
    batchId: String(batchId),
    idx,
    timeMicros: String(timeMicros),
    severity: record.severity,
    logger: record.logger,
    message: record.message,
    attributes: attributes.length === 0 ? null : attributes,
    traceId: idOf(record.traceId),
    spanId: idOf(record.spanId),
    eventName: record.eventName || null,
  };
}

function idOf(id: Uint8Array): string | null {
  return id.some((byte) => byte !== 0) ? Buffer.from(id).toString("hex") : null;
}

function decode(encoded: Uint8Array) {
  try {
    return fromBinary(LogRecordSchema, encoded);
  } catch (error) {
    if (isEncodingError(error)) return undefined;
    throw error;
  }
}

/** Whether protobuf-es gave up on a text that is not UTF-8. */
export function isEncodingError(error: unknown): boolean {
  return error instanceof TypeError && "code" in error && error.code === "ERR_ENCODING_INVALID_ENCODED_DATA";
}

function fits(text: string, bytesMax: number): boolean {
  return Buffer.byteLength(text) <= bytesMax && !text.includes("\0");
}
