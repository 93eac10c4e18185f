import { wireType } from "../wire-reader.ts";

// Writes protobuf by hand, so that tests can send what a protobuf library would not.

export function varint(value: bigint | number): Buffer {
  const bytes: number[] = [];
  let rest = BigInt.asUintN(64, BigInt(value));
  for (; rest >= 0x80n; rest >>= 7n) bytes.push(Number(rest & 0x7fn) | 0x80);
  bytes.push(Number(rest));
  return Buffer.from(bytes);
}

export function tag(field: number, type: number): Buffer {
  return varint(field * 8 + type);
}

export function varintField(field: number, value: bigint | number): Buffer {
  return Buffer.concat([tag(field, wireType.varint), varint(value)]);
}

export function fixed64Field(field: number, value: bigint): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(value);
  return Buffer.concat([tag(field, wireType.fixed64), bytes]);
}

/** A string, bytes or message field. */
export function bytesField(field: number, value: string | Uint8Array): Buffer {
  const bytes = Buffer.from(value);
  return Buffer.concat([tag(field, wireType.bytes), varint(bytes.length), bytes]);
}

export type Text = string | Uint8Array;

export interface RecordParts {
  readonly timeUnixNano?: bigint;
  readonly severity?: bigint | number;
  readonly logger?: Text;
  readonly message?: Text;
  readonly attributes?: readonly (readonly [key: Text, value: WireValue])[];
  readonly traceId?: Uint8Array;
  readonly spanId?: Uint8Array;
  readonly eventName?: Text;
  readonly uptimeNano?: bigint;
  readonly severityText?: Text;
  readonly observedTimeUnixNano?: bigint;
}

/** A bigint is an integer on the wire, a number a double. */
export type WireValue = Text | boolean | bigint | number | null;

/** An attribute in field `field`: 5 in a record, 6 in a batch, 4 in a DeviceInfo. */
export function attribute(key: Text, value: WireValue, field = 5): Buffer {
  return bytesField(field, Buffer.concat([bytesField(1, key), valueField(value)]));
}

/** The value of an attribute, with its tag. */
export function valueField(value: WireValue): Buffer {
  if (value === null) return Buffer.alloc(0);
  if (typeof value === "boolean") return varintField(3, value ? 1 : 0);
  if (typeof value === "bigint") return varintField(4, (value << 1n) ^ (value >> 63n));
  if (typeof value !== "number") return bytesField(2, value);
  const bytes = Buffer.alloc(8);
  bytes.writeDoubleLE(value);
  return Buffer.concat([tag(5, wireType.fixed64), bytes]);
}

/** One LogRecord; only what is given is written. */
export function encodeRecord(parts: RecordParts): Buffer {
  return Buffer.concat([
    ...(parts.timeUnixNano === undefined ? [] : [fixed64Field(1, parts.timeUnixNano)]),
    ...(parts.severity === undefined ? [] : [varintField(2, parts.severity)]),
    ...(parts.logger === undefined ? [] : [bytesField(3, parts.logger)]),
    ...(parts.message === undefined ? [] : [bytesField(4, parts.message)]),
    ...(parts.attributes ?? []).map(([key, value]) => attribute(key, value)),
    ...(parts.traceId === undefined ? [] : [bytesField(7, parts.traceId)]),
    ...(parts.spanId === undefined ? [] : [bytesField(8, parts.spanId)]),
    ...(parts.eventName === undefined ? [] : [bytesField(9, parts.eventName)]),
    ...(parts.uptimeNano === undefined ? [] : [fixed64Field(10, parts.uptimeNano)]),
    ...(parts.severityText === undefined ? [] : [bytesField(11, parts.severityText)]),
    ...(parts.observedTimeUnixNano === undefined ? [] : [fixed64Field(12, parts.observedTimeUnixNano)]),
  ]);
}

export interface BatchParts {
  readonly deviceId?: Text;
  readonly sessionId?: Text;
  readonly sequence?: bigint;
  /** Encoded LogRecords. */
  readonly records?: readonly Uint8Array[];
}

/** One LogBatch, by default a good one with one record. */
export function encodeBatch(parts: BatchParts = {}): Buffer {
  return Buffer.concat([
    bytesField(1, parts.deviceId ?? "host-1"),
    bytesField(2, parts.sessionId ?? "boot-1"),
    varintField(3, parts.sequence ?? 1n),
    ...(parts.records ?? [encodeRecord({ message: "hello" })]).map((record) => bytesField(4, record)),
  ]);
}
