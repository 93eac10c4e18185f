import { type Kysely, sql } from "kysely";
import { listDayPartitions } from "#postgres/day-partitions.ts";
import type { Database } from "#postgres/tables.ts";
import type { IdRange } from "./select-batches.ts";

/** The ids of batches whose day was dropped: the ledger still lists them, and they have no records. */
export async function droppedIds(db: Kysely<Database>): Promise<readonly IdRange[]> {
  const [oldest] = await listDayPartitions(db);
  if (oldest === undefined) return [];
  const { rows } = await sql<{ id: string | null }>`
    select min(batch_id) as id from record_batches_default`.execute(db);
  const strayed = BigInt(rows[0]?.id ?? oldest.firstId);
  return [{ firstId: 0n, endId: strayed < oldest.firstId ? strayed : oldest.firstId }];
}
