import { type RawBuilder, type SqlBool, sql } from "kysely";

export type Condition = RawBuilder<SqlBool>;

export function allOf(conditions: readonly Condition[]): Condition {
  return conditions.length === 0 ? sql`true` : sql`${sql.join(conditions, sql` and `)}`;
}

/** A substring in any case, by a named collation: the locale of databases differs. `%`, `_` and `\` are literal. */
export function containsText(value: RawBuilder<unknown>, text: string): Condition {
  const pattern = sql`${`%${text.replace(/[%_\\]/g, "\\$&")}%`}::text`;
  return sql`${foldedText(value)} like ${foldedText(pattern)}`;
}

function foldedText(value: RawBuilder<unknown>): RawBuilder<string> {
  return sql`lower(${value} collate pg_c_utf8)`;
}
