import { jsonBytesPerByteMax } from "./json-bytes.ts";
import { rareStringFields } from "./string-fields.ts";

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
  ...rareStringFields.map(({ name }) => name),
];

/** The statement that takes what `CopyRows` writes. */
export const copyStatement = `COPY records (${copyColumns.join(", ")}) FROM STDIN (FORMAT binary)`;

/** The signature, no flags, no extension. */
export const copyHeader = Buffer.from("PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0", "latin1");

export const copyTrailer = Buffer.from([0xff, 0xff]);

/** A row besides its texts: column count, a length for each, the four numbers, and jsonb's version and braces. */
export const rowOverheadBytes = 2 + copyColumns.length * 4 + (8 + 4 + 8 + 2) + 3;

/**
 * The most bytes that `records` records make as a COPY when their batches have `wireBytes` bytes: the worst of them
 * consist of attributes that are all control characters.
 */
export function copyBytesMax(wireBytes: number, records: number): number {
  return (
    copyHeader.length + records * rowOverheadBytes + wireBytes * jsonBytesPerByteMax + copyTrailer.length
  );
}
