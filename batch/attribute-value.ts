import type { JsonObject, JsonValue } from "@bufbuild/protobuf";
import type { AttributeValue } from "#proto/attributes.ts";
import type { AttributeList } from "./attribute-list.ts";
import { decodeText } from "./cut-text.ts";
import { attributeTags } from "./log-tags.ts";

// The value of an attribute by the tag of its field, and where it lies in the batch's bytes.

/** A number where it is exact, else a bigint: seven bytes of a varint have 49 bits. */
export function decodeInt(bytes: Buffer, start: number, end: number): number | bigint {
  if (end - start > 7) return unzigzag(decodeVarint(bytes, start, end));
  let low = 0;
  let factor = 1;
  for (let at = start; at < end; at++, factor *= 128) low += (bytes[at]! & 0x7f) * factor;
  const half = Math.floor(low / 2);
  return half * 2 === low ? half : -half - 1;
}

function decodeVarint(bytes: Buffer, start: number, end: number): bigint {
  let value = 0n;
  for (let at = end - 1; at >= start; at--) value = (value << 7n) | BigInt(bytes[at]! & 0x7f);
  return BigInt.asUintN(64, value);
}

function unzigzag(value: bigint): bigint {
  return (value >> 1n) ^ -(value & 1n);
}

export function decodeBool(bytes: Buffer, start: number, end: number): boolean {
  return decodeVarint(bytes, start, end) !== 0n;
}

export function decodeValue(bytes: Buffer, tag: number, start: number, end: number): AttributeValue {
  switch (tag) {
    case attributeTags.stringValue:
      return decodeText(bytes, start, end);
    case attributeTags.boolValue:
      return decodeBool(bytes, start, end);
    case attributeTags.intValue:
      return decodeInt(bytes, start, end);
    case attributeTags.doubleValue:
      return bytes.readDoubleLE(start);
    default:
      return null;
  }
}

/** Of those that share a name the last counts. Also "__proto__" is a name like any other to fromEntries. */
export function decodeAttributes(
  bytes: Buffer,
  { count, bounds, valueTags }: AttributeList,
): Readonly<Record<string, AttributeValue>> {
  const pairs: [string, AttributeValue][] = [];
  for (let index = 0; index < count; index++) {
    const [keyStart, keyEnd, valueStart, valueEnd] = bounds.subarray(4 * index, 4 * index + 4);
    const value = decodeValue(bytes, valueTags[index]!, valueStart!, valueEnd!);
    pairs.push([bytes.toString("utf8", keyStart, keyEnd), value]);
  }
  return Object.fromEntries(pairs);
}

/** As readers get them. A number that JSON has not, and an integer beyond 2^53 of 64 bits, is the text of it. */
export function toJsonObject(attributes: Readonly<Record<string, AttributeValue>>): JsonObject {
  return Object.fromEntries(Object.entries(attributes).map(([name, value]) => [name, toJsonValue(value)]));
}

function toJsonValue(value: AttributeValue): JsonValue {
  if (typeof value === "bigint") return Number.isSafeInteger(Number(value)) ? Number(value) : String(value);
  if (typeof value !== "number") return value;
  const isExact = !Number.isInteger(value) || Math.abs(value) <= Number.MAX_SAFE_INTEGER;
  return Number.isFinite(value) && (isExact || Math.abs(value) > 2 ** 63) ? value + 0 : String(value);
}

/** As PostgreSQL stores them: the text of a jsonb, its numbers exact. */
export function toJsonText(attributes: Readonly<Record<string, AttributeValue>>): string {
  const items = Object.entries(attributes).map(
    ([name, value]) => `${JSON.stringify(name)}:${valueText(value)}`,
  );
  return `{${items.join(",")}}`;
}

function valueText(value: AttributeValue): string {
  return typeof value === "bigint" || Number.isFinite(value)
    ? String(value)
    : JSON.stringify(toJsonValue(value));
}

/**
 * Writes a value that is no text as a canonical encoder does, with its tag, and returns the position behind it. An
 * absent one takes no bytes.
 */
export function writeCanonicalScalar(
  out: Uint8Array,
  position: number,
  bytes: Buffer,
  tag: number,
  start: number,
  end: number,
): number {
  if (tag === 0) return position;
  let to = position;
  out[to++] = tag;
  if (tag === attributeTags.doubleValue) {
    const value = bytes.readDoubleLE(start);
    // Any NaN becomes the usual one, minus zero zero.
    new DataView(out.buffer, out.byteOffset).setFloat64(
      to,
      Number.isNaN(value) ? Number.NaN : value + 0,
      true,
    );
    return to + 8;
  }
  let rest = decodeVarint(bytes, start, end);
  if (tag === attributeTags.boolValue && rest > 0n) rest = 1n;
  for (; rest >= 0x80n; rest >>= 7n) out[to++] = Number(rest & 0x7fn) | 0x80;
  out[to++] = Number(rest);
  return to;
}

/** The most that {@link writeCanonicalScalar} writes. */
export const scalarBytesMax = 11;
