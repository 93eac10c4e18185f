/*
 * Columns for `unnest`, as PostgreSQL reads arrays. The driver's own way looks at each element anew, quotes numbers too,
 * and was a tenth of the consumer's CPU time with batches of one record.
 */

/** For arrays of numbers and booleans. */
export function plainArray(values: readonly (number | bigint | boolean)[]): string {
  return `{${values.join(",")}}`;
}

/** Such an array of one value of each row. */
export function plainColumn<Row>(rows: readonly Row[]) {
  return (value: (row: Row) => number | bigint | boolean): string => plainArray(rows.map(value));
}

export function textArray(values: readonly string[]): string {
  return `{${values.map(quoted).join(",")}}`;
}

export function byteaArray(values: readonly Buffer[]): string {
  return `{${values.map((value) => `"\\\\x${value.toString("hex")}"`).join(",")}}`;
}

/** In quotes even NULL is a text. */
function quoted(value: string): string {
  return `"${value.replace(/["\\]/g, "\\$&")}"`;
}
