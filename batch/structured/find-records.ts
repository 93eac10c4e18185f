import { InvalidBatchError } from "../invalid-batch.ts";
import { jsonKind } from "../json/json-kind.ts";
import { JsonReader } from "../json/json-reader.ts";

/** Records of one request, at most; with the 16 MiB that a body may have, 160 bytes each. */
const recordsMax = 100_000;
/** Values in one request: 20 for each record. */
const valuesMax = 2_000_000;

/** Begin and end of a record in its body. */
export type RecordBounds = readonly [start: number, end: number];

/**
 * Finds the records of a body, in order. In `values`, they are values one after the other, or the elements of arrays; in
 * `lines`, and where values that begin with no array are not JSON all through, each line is a record of its own: a bad
 * one then costs only itself. Makes nothing of the records. Throws an {@link InvalidBatchError} for an empty body, too
 * many records, and an array that is not JSON.
 */
export function findRecords(body: Buffer, separation: "lines" | "values"): readonly RecordBounds[] {
  const first = firstByte(body);
  if (first === undefined) throw new InvalidBatchError("request", "is empty");
  const records = separation === "lines" ? findLines(body) : findValuesOrLines(body, first === openArray);
  if (records.length > recordsMax)
    throw new InvalidBatchError("request", `has more than ${recordsMax} records`);
  return records;
}

function findValuesOrLines(body: Buffer, isArray: boolean): readonly RecordBounds[] {
  try {
    return findValues(body);
  } catch (error) {
    if (isArray || !(error instanceof InvalidBatchError)) throw error;
    return findLines(body);
  }
}

function findValues(body: Buffer): RecordBounds[] {
  const reader = new JsonReader(body, valuesMax);
  const records: RecordBounds[] = [];
  const add = () => {
    const kind = reader.kind();
    const start = reader.position;
    reader.skip(kind);
    records.push([start, reader.position]);
  };
  while (!reader.isAtEnd() && records.length <= recordsMax) {
    if (reader.kind() !== jsonKind.array) {
      add();
      continue;
    }
    reader.enter();
    for (let isFirst = true; reader.nextElement(isFirst); isFirst = false) {
      if (records.length > recordsMax) return records;
      add();
    }
  }
  return records;
}

/** One walk over the bytes: 16 MiB of blank lines, as objects of their own, cost 760 ms; so they cost about 20. */
function findLines(body: Buffer): RecordBounds[] {
  const records: RecordBounds[] = [];
  let start = 0;
  for (let position = 0; position < body.length && records.length <= recordsMax; position++) {
    const byte = body[position]!;
    if (byte === newline) start = position + 1;
    if (isSpace[byte] === 1) continue;
    const next = body.indexOf(newline, position);
    position = next < 0 ? body.length : next;
    records.push([start, position]);
    start = position + 1;
  }
  return records;
}

const newline = 0x0a;
const openArray = 0x5b;
/** Also the bytes of a byte order mark. */
const isSpace = new Uint8Array(256);
for (const byte of Buffer.from(" \t\r\n\ufeff")) isSpace[byte] = 1;

function firstByte(bytes: Buffer): number | undefined {
  let position = 0; // not for-of: its iterator costs five times as much
  while (position < bytes.length && isSpace[bytes[position]!] === 1) position += 1;
  return bytes[position];
}
