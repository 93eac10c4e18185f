import { jsonBytesPerByteMax } from "./json-bytes.ts";
import { rareStringFields } from "./string-fields.ts";

// PostgreSQL's binary COPY: a header, rows, a trailer. A row is the number of its columns and, for each, a length and
// that many bytes, or -1 for NULL. All numbers are big-endian.
// https://www.postgresql.org/docs/18/sql-copy.html#SQL-COPY-FILE-FORMATS

const bytea = 17;
const int8 = 20;
const int2 = 21;
const text = 25;
const timestamptz = 1184;

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

/**
 * The types of the attributes of record_extra, by their fixed numbers in pg_type: a composite value is the number of its
 * attributes and, for each, its type, a length and that many bytes, or -1 for NULL.
 */
export const extraTypes: readonly number[] = [
  ...rareStringFields.map(({ isId }) => (isId ? bytea : text)),
  int8,
  timestamptz,
  int2,
];

/** A row besides its texts: column count, a length for each, the four numbers, jsonb's version and braces, and extra's. */
export const rowOverheadBytes =
  2 + copyColumns.length * 4 + (8 + 4 + 8 + 2) + 3 + (4 + 8 * extraTypes.length);

/**
 * The most bytes that `records` records make as a COPY when their batches have `wireBytes` bytes: the worst of them
 * consist of attributes that are all control characters.
 */
export function copyBytesMax(wireBytes: number, records: number): number {
  return (
    copyHeader.length + records * rowOverheadBytes + wireBytes * jsonBytesPerByteMax + copyTrailer.length
  );
}
