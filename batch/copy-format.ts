import { jsonBytesPerByteMax } from "./json-bytes.ts";
import { extraBytesMax } from "./record-extra.ts";

// PostgreSQL's binary COPY: a header, rows, a trailer. A row is the number of its columns and, for each, a length and
// that many bytes, or -1 for NULL. All numbers are big-endian.
// https://www.postgresql.org/docs/18/sql-copy.html#SQL-COPY-FILE-FORMATS

/** The columns of a row, in the order in which they are written. */
export const copyColumns: readonly string[] = [
  "batch_id",
  "idx",
  "time",
  "severity",
  "logger",
  "message",
  "attributes",
  "extra",
];

/** The statement that takes what `CopyRows` writes. */
export const copyStatement = `COPY records (${copyColumns.join(", ")}) FROM STDIN (FORMAT binary)`;

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

/** A row besides its texts: column count, a length for each, the four numbers, jsonb's version and braces, and extra's own. */
export const rowOverheadBytes = 2 + copyColumns.length * 4 + (8 + 4 + 8 + 2) + 3 + extraBytesMax;

/**
 * The most bytes that `records` records make as a COPY when their batches have `wireBytes` bytes: the worst of them
 * consist of attributes that are all control characters.
 */
export function copyBytesMax(wireBytes: number, records: number): number {
  return (
    copyHeader.length + records * rowOverheadBytes + wireBytes * jsonBytesPerByteMax + copyTrailer.length
  );
}
