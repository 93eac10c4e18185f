import { fromBinary } from "@bufbuild/protobuf";
import { limits } from "../limits.ts";
import { type BytesRecord, bytesRecordSchema } from "./bytes-record.ts";
import { decodeCut } from "./decode-cut.ts";
import { expectedTimes } from "./expected-times.ts";

/** One row of `records`, in a form that can be compared as JSON. */
export interface Row {
  readonly batchId: string;
  readonly idx: number;
  /** µs since 1970. */
  readonly timeMicros: string;
  readonly severity: number;
  readonly logger: string;
  readonly message: string;
  /** By name, values as {@link comparable} JSON; null when there are none. */
  readonly attributes: readonly (readonly [key: string, json: string])[] | null;
  /** In hex. */
  readonly traceId: string | null;
  readonly spanId: string | null;
  readonly eventName: string | null;
  readonly severityText: string | null;
  /** In ns. */
  readonly uptime: string | null;
  /** µs since 1970. */
  readonly observedMicros: string | null;
  readonly flags: number | null;
}

/** Attributes in an order that does not depend on who keeps them. */
export function sortedByName(attributes: Iterable<[key: string, json: string]>): [string, string][] {
  return [...attributes].toSorted(([a], [b]) => (a < b ? -1 : 1));
}

/** A scalar of JSON in one form of several: PostgreSQL writes 1e300 with all of its digits. */
export function comparable(json: string): string {
  if (json.startsWith('"')) return JSON.stringify(JSON.parse(json));
  const isNumber = /^-?\d/.test(json);
  return isNumber && !/^-?\d{1,19}$/.test(json) ? String(Number(json)) : json;
}

/**
 * The rows that the encoded LogRecords of a batch have to become, by protobuf-es and the plainest reading of the limits,
 * without those that have to be rejected. Malformed protobuf throws.
 */
export function expectedRows(
  records: readonly Uint8Array[],
  batchId: bigint,
  receivedAtMicros: number,
): readonly Row[] {
  const decoded = records.map((encoded) => fromBinary(bytesRecordSchema, encoded) as unknown as BytesRecord);
  const rows = decoded
    .map((record, idx) => expectedRow(record, batchId, idx))
    .filter((row) => row !== undefined);
  const times = expectedTimes(
    rows.map(({ idx }) => decoded[idx]!),
    receivedAtMicros,
  );
  return rows.map((row, index) => {
    const { micros, source } = times[index]!;
    return { ...row, timeMicros: String(micros), flags: (row.flags ?? 0) + 2 * source || null };
  });
}

/** Without its time. */
function expectedRow(record: BytesRecord, batchId: bigint, idx: number): Row | undefined {
  let isRepaired = false;
  let isGood = record.severity >= 0 && record.severity <= limits.severityMax;
  const text = (bytes: Uint8Array, bytesMax: number): string => {
    const decoded = decodeCut(bytes);
    if (decoded?.isCut === true) isRepaired = true;
    if (bytes.length > bytesMax || decoded === undefined) isGood = false;
    return decoded?.text ?? "";
  };
  const [logger, message] = [
    text(record.logger, limits.loggerBytesMax),
    text(record.message, limits.messageBytesMax),
  ];
  const [eventName, severityText] = [record.eventName, record.severityText].map((bytes) => text(bytes, 256));
  const attributes = new Map<string, string>();
  for (const { key, value } of record.attributes) {
    const name = decodeCut(key);
    if (key.length === 0 || key.length > limits.attributeKeyBytesMax) isGood = false;
    if (name === undefined || name.isCut) isGood = false;
    attributes.set(name?.text ?? "", toJson(value.value, text));
  }
  if (record.attributes.length > limits.attributesMax) isGood = false;
  if (![0, 16].includes(record.traceId.length) || ![0, 8].includes(record.spanId.length)) isGood = false;
  if (record.uptimeNano > limits.uptimeNanoMax) isGood = false;
  if (!isGood) return undefined;
  const { observedTimeUnixNano: observed, uptimeNano: uptime } = record;
  return {
    batchId: String(batchId),
    idx,
    timeMicros: "",
    severity: record.severity,
    logger,
    message,
    attributes: attributes.size === 0 ? null : sortedByName(attributes),
    traceId: toHex(record.traceId),
    spanId: toHex(record.spanId),
    eventName: eventName || null,
    severityText: severityText || null,
    uptime: uptime > 0n ? String(uptime) : null,
    observedMicros: observed > 0n ? String(observed / 1000n) : null,
    flags: isRepaired ? 1 : null,
  };
}

function toJson(
  value: BytesRecord["attributes"][number]["value"]["value"],
  text: (bytes: Uint8Array, bytesMax: number) => string,
): string {
  if (value === undefined) return "null";
  if (value instanceof Uint8Array) return JSON.stringify(text(value, limits.attributeValueBytesMax));
  const isFinite = typeof value !== "number" || Number.isFinite(value);
  return comparable(isFinite ? String(value) : `"${value}"`);
}

function toHex(id: Uint8Array): string | null {
  return id.some((byte) => byte !== 0) ? Buffer.from(id).toString("hex") : null;
}

/** Whether protobuf-es gave up on a text that is not UTF-8. */
export function isEncodingError(error: unknown): boolean {
  return error instanceof TypeError && "code" in error && error.code === "ERR_ENCODING_INVALID_ENCODED_DATA";
}
