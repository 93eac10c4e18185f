import { InvalidBatchError } from "../invalid-batch.ts";
import { quoted } from "../quoted.ts";
import type { FieldNames } from "./field-names.ts";
import { readWhole, type Wide } from "./json-numbers.ts";
import { type JsonReader, jsonKind } from "./json-reader.ts";

/** Longer ones with escapes are nothing that is known here. */
const escapedBytesMax = 512;

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
  const { bytes, start, end } = shortText(reader);
  return names.find(bytes, start, end);
}

/** The string or number that was read last, without escapes if it is short. */
export function shortText(reader: JsonReader): Bounds {
  if (reader.isPlain || reader.end - reader.start > escapedBytesMax) return reader;
  const json = reader.bytes.toString("utf8", reader.start - 1, reader.end + 1);
  const bytes = Buffer.from(JSON.parse(json) as string);
  return { bytes, start: 0, end: bytes.length };
}

/** The value that was read last and begins at `start`, for a message. */
export function shown(reader: JsonReader, start: number): string {
  const quote = reader.bytes[start] === 0x22 ? 1 : 0;
  return quoted(reader.bytes.subarray(start + quote, reader.position - quote));
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
  return new InvalidBatchError(field, `is ${shown(reader, start)}, wanted ${wanted}`);
}

/** Reads a whole number below 2^64, or null for 0. Returns what is wrong with it. */
export function readWholeField(reader: JsonReader, field: string, into: Wide): InvalidBatchError | undefined {
  into.high = into.low = 0;
  if (skippedNull(reader)) return undefined;
  const kind = reader.kind();
  const wanted = "a whole number from 0";
  if (kind !== jsonKind.string && kind !== jsonKind.number) return wrongKind(reader, field, wanted);
  const start = reader.position;
  reader.skip(kind);
  const { bytes, start: from, end } = shortText(reader);
  if (readWhole(bytes, from, end, into)) return undefined;
  return new InvalidBatchError(field, `is ${shown(reader, start)}, wanted ${wanted}`);
}

/** The bytes of the string that was read last. They hold as long as the request. */
export function textBytes(reader: JsonReader): Buffer {
  const { bytes, start, end } = shortText(reader);
  return bytes.subarray(start, end);
}
