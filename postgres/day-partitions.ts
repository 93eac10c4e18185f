import { type Kysely, sql } from "kysely";
import { dayMs, firstBatchIdAt } from "./partitions.ts";
import type { Database } from "./tables.ts";

/** The partition of one day of records. */
export interface DayPartition {
  readonly name: string;
  readonly startMs: number;
  readonly endMs: number;
  /** Ids of its batches: from `firstId`, below `endId`. */
  readonly firstId: bigint;
  readonly endId: bigint;
}

/** The partitions of records that hold a day, oldest first; not record_batches_default. */
export async function listDayPartitions(db: Kysely<Database>): Promise<readonly DayPartition[]> {
  const { rows } = await sql<{ name: string }>`
    select partition.relname as name
    from pg_inherits join pg_class partition on partition.oid = inhrelid
    where inhparent = 'record_batches'::regclass and partition.relname ~ '^record_batches_\\d{8}$'
    order by partition.relname`.execute(db);
  return rows.map(({ name }) => {
    const startMs = parseDay(name);
    const endMs = startMs + dayMs;
    return { name, startMs, endMs, firstId: firstBatchIdAt(startMs), endId: firstBatchIdAt(endMs) };
  });
}

function parseDay(name: string): number {
  return Date.parse(name.replace(/^record_batches_(\d{4})(\d\d)(\d\d)$/, "$1-$2-$3T00:00:00Z"));
}
