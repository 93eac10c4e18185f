import { InvalidBatchError } from "../invalid-batch.ts";
import { jsonBytesPerByteMax } from "../json-bytes.ts";
import { limits } from "../limits.ts";
import { quoted } from "../quoted.ts";
import type { FieldNames } from "./field-names.ts";
import { jsonKind } from "./json-kind.ts";
import { readWhole, type Wide } from "./json-numbers.ts";
import type { JsonReader } from "./json-reader.ts";
import type { JsonText } from "./wire-writer.ts";

/** Longer ones with escapes are nothing that is known here: no name is longer than that of a device. */
const escapedBytesMax = jsonBytesPerByteMax * limits.deviceIdBytesMax;

interface Bounds {
  readonly bytes: Buffer;
  readonly start: number;
  readonly end: number;
}

/** The field that the key which was read last names. */
export function findField<Field extends number>(
  names: FieldNames<Field>,
  reader: JsonReader,
): Field | undefined {
  if (reader.isPlain) return names.find(reader.bytes, reader.start, reader.end);
  const length = unescapeName(reader);
  return length === undefined ? undefined : names.find(nameBytes, 0, length);
}

/** No name of a field is longer. */
const nameBytes = Buffer.alloc(32);

/** Writes the key without its escapes to `nameBytes`; undefined when it has others than those of ASCII as \uXXXX. */
function unescapeName({ bytes, start, end }: JsonReader): number | undefined {
  let length = 0;
  for (let at = start; at < end; length += 1) {
    if (length === nameBytes.length) return undefined;
    const isEscape = bytes[at] === 0x5c;
    if (isEscape && (bytes[at + 1] !== 0x75 || bytes[at + 2] !== 0x30 || bytes[at + 3] !== 0x30))
      return undefined;
    nameBytes[length] = isEscape ? hexByte(bytes, at + 4) : bytes[at]!;
    at += isEscape ? 6 : 1;
  }
  return length;
}

function hexByte(bytes: Buffer, at: number): number {
  return 16 * hexDigit(bytes[at]!) + hexDigit(bytes[at + 1]!);
}

function hexDigit(byte: number): number {
  return byte <= 0x39 ? byte - 0x30 : (byte | 0x20) - 0x61 + 10;
}

/** A string or number without escapes, if it is short. */
export function shortText(bytes: Buffer, text: JsonText): Bounds {
  const { start, end, isPlain } = text;
  if (isPlain || end - start > escapedBytesMax) return { bytes, start, end };
  const unescaped = Buffer.from(JSON.parse(bytes.toString("utf8", start - 1, end + 1)) as string);
  return { bytes: unescaped, start: 0, end: unescaped.length };
}

/** A value for a message, a string without its quotes. */
export function shownValue(bytes: Buffer, start: number, end: number): string {
  const quote = bytes[start] === 0x22 ? 1 : 0;
  return quoted(bytes.subarray(start + quote, end - quote));
}

/** Skips the next value if it is null, which means that the field is not there. */
export function skippedNull(reader: JsonReader): boolean {
  const isNull = reader.kind() === jsonKind.null;
  if (isNull) reader.skip(jsonKind.null);
  return isNull;
}

/** Skips the next value, which is not what `field` takes. */
export function wrongKind(reader: JsonReader, field: string, wanted: string): InvalidBatchError {
  const kind = reader.kind();
  const start = reader.position;
  reader.skip(kind);
  return wrongValue(reader, start, field, wanted);
}

/** The value from `start` to the reader's position is not what `field` takes. */
export function wrongValue(
  reader: JsonReader,
  start: number,
  field: string,
  wanted: string,
): InvalidBatchError {
  const value = shownValue(reader.bytes, start, reader.position);
  return new InvalidBatchError(field, `is ${value}, expected ${wanted}`);
}

/** Reads a whole number below 2^64, or null for 0. False: the value is something else. */
export function readWholeField(reader: JsonReader, into: Wide): boolean {
  into.high = into.low = 0;
  if (skippedNull(reader)) return true;
  const kind = reader.kind();
  reader.skip(kind);
  if (kind !== jsonKind.string && kind !== jsonKind.number) return false;
  const { bytes, start, end } = shortText(reader.bytes, reader);
  return readWhole(bytes, start, end, into);
}

/** The bytes of the string that was read last. They hold as long as the request. */
export function textBytes(reader: JsonReader): Buffer {
  const { bytes, start, end } = shortText(reader.bytes, reader);
  return bytes.subarray(start, end);
}
