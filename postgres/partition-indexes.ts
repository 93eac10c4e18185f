import { type RawBuilder, sql } from "kysely";

/*
 * Indexes that only partitions of closed days have: maintaining them costs more than all other work on a record, and
 * keeping them costs only disk. Queries use them when they contain the same expression.
 */

export type PartitionIndex = "text" | "attributes";

interface Definition {
  /** The index of `record_batches_20260131` is called `record_batches_20260131_by_text`. */
  readonly suffix: string;
  readonly method: RawBuilder<unknown>;
  readonly extension?: string;
}

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
 * Folds text for comparison without case. Uses lower case by a named collation, because the locale of databases differs
 * and pg_trgm uses it: text that is folded before is split into the same trigrams in every database.
 */
export function foldedText(value: RawBuilder<unknown>): RawBuilder<string> {
  return sql`lower(${value} collate pg_c_utf8)`;
}
