import { type Kysely, sql } from "kysely";
import { isUndated } from "#batch/record-time.ts";
import { plainColumn, textArray } from "#postgres/array-literal.ts";
import type { Database } from "#postgres/tables.ts";
import type { NewBatch } from "./batches.ts";

/** Remembers the new batches whose records are dated by an estimate, for {@link dateAnew}. */
export async function insertUndatedBatches(
  db: Kysely<Database>,
  batches: readonly NewBatch[],
): Promise<void> {
  const undated = batches.filter(({ scanned, entry }) => isUndated(scanned, entry));
  if (undated.length === 0) return;
  const column = plainColumn(undated);
  await sql`
    insert into undated_batches (batch_id, device_key, session_id)
    select * from unnest(
      ${column(({ id }) => id)}::bigint[],
      ${column(({ deviceKey }) => deviceKey)}::int[],
      ${textArray(undated.map(({ entry }) => entry.sessionId))}::text[]
    )`.execute(db);
}
