import { type RawBuilder, sql } from "kysely";

/*
 * The indexes that only partitions of closed days have: they cost more to maintain than all else that is done to a
 * record, and nothing to keep. Queries use them when they speak of the same expression.
 */

export type PartitionIndex = "text" | "attributes";

interface Definition {
  /** The index of `records_20260131` is called `records_20260131_by_text`. */
  readonly suffix: string;
  readonly method: RawBuilder<unknown>;
  readonly extension?: string;
}

/** As {@link foldedText} of the column. */
const foldedMessage = foldedText(sql`message`);

export const partitionIndexes: Readonly<Record<PartitionIndex, Definition>> = {
  text: {
    suffix: "_by_text",
    method: sql`gin (${foldedMessage} gin_trgm_ops)`,
    extension: "pg_trgm",
  },
  attributes: { suffix: "_by_attributes", method: sql`gin (attributes jsonb_path_ops)` },
};

/**
 * What texts are compared by whatever their case. Lower case by a named collation, because databases have the locale C
 * or another, and pg_trgm takes the database's: folded before, the words of a text and of what is looked for are cut
 * the same way in all of them.
 */
export function foldedText(value: RawBuilder<unknown>): RawBuilder<string> {
  return sql`lower(${value} collate pg_c_utf8)`;
}
