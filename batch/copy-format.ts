import { jsonBytesPerByteMax } from "./json-bytes.ts";
import { rareStringFields } from "./string-fields.ts";

// PostgreSQL's binary COPY: a header, rows, a trailer. A row is the number of its columns and, for each, a length and
// that many bytes, or -1 for NULL. All numbers are big-endian.
// https://www.postgresql.org/docs/18/sql-copy.html#SQL-COPY-FILE-FORMATS

/** The arrays of a row that are NULL when no record of it has such a value: as rareStringFields, then the others. */
const rareColumns = [...rareStringFields.map(({ name }) => `${name}s`), "uptimes", "observed_times", "flags"];

/** The columns of a row, in the order in which they are written. */
export const copyColumns: readonly string[] = [
  "batch_id",
  "first_index",
  "times",
  "severities",
  "loggers",
  "messages",
  "attributes",
  "indexes",
  ...rareColumns,
];

/** The statement that takes what `CopyRows` writes. */
export const copyStatement = `COPY record_batches (${copyColumns.join(", ")}) FROM STDIN (FORMAT binary)`;

/** The signature, no flags, no extension. */
export const copyHeader = Buffer.from("PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0", "latin1");

export const copyTrailer = Buffer.from([0xff, 0xff]);

/** Up to this length a loop copies faster than a native call, which costs about 40 ns whatever the length. */
const loopBytesMax = 32;

/** Writes a length and bytes[start, end), and returns the position behind them. */
export function writeBytes(
  out: Buffer,
  view: DataView,
  position: number,
  bytes: Buffer,
  start: number,
  end: number,
): number {
  view.setInt32(position, end - start);
  let to = position + 4;
  if (end - start > loopBytesMax) return to + bytes.copy(out, to, start, end);
  for (let from = start; from < end; from++) out[to++] = bytes[from]!;
  return to;
}

export function writeNull(view: DataView, position: number): number {
  view.setInt32(position, -1);
  return position + 4;
}

/** Of an array: dimensions, whether an element is NULL, their type, the length and the first subscript. */
export const arrayHeaderBytes = 5 * 4;

const arrayCount = copyColumns.length - 2;

/** A row besides its elements: the number of columns, a length for each, the two numbers, the headers of its arrays. */
export const rowOverheadBytes = 2 + copyColumns.length * 4 + (8 + 4) + arrayCount * arrayHeaderBytes;

/** A record besides its texts: a length for each element, its numbers and times, and the braces of its attributes. */
const recordOverheadBytes = arrayCount * 4 + (8 + 2 + 4 + 8 + 8 + 2) + 2;

/**
 * The most bytes that `records` records make as a COPY when their batches have `wireBytes` bytes: the worst of them are
 * batches of one record, and consist of attributes that are all control characters.
 */
export function copyBytesMax(wireBytes: number, records: number): number {
  return (
    copyHeader.length +
    records * (rowOverheadBytes + recordOverheadBytes) +
    wireBytes * jsonBytesPerByteMax +
    copyTrailer.length
  );
}
