import { type Kysely, sql } from "kysely";
import { byteaArray, plainArray } from "#postgres/array-literal.ts";
import type { Database } from "#postgres/tables.ts";
import type { Summary } from "#search/summary-writer.ts";

/** Stores what the records of a flush can be searched for. */
export async function insertSummaries(db: Kysely<Database>, summaries: readonly Summary[]): Promise<void> {
  const rows = summaries.flatMap(({ slices, ...ids }) => slices.map((slice) => ({ ...slice, ...ids })));
  if (rows.length === 0) return;
  await sql`
    insert into search_summaries (slice, first_id, last_id, bytes)
    select * from unnest(
      ${plainArray(rows.map(({ slice }) => slice))}::smallint[],
      ${plainArray(rows.map(({ firstId }) => firstId))}::bigint[],
      ${plainArray(rows.map(({ lastId }) => lastId))}::bigint[],
      ${byteaArray(rows.map(({ bytes }) => bytes))}::bytea[]
    )`.execute(db);
}
