import { type Kysely, sql } from "kysely";
import { type PartitionIndex, partitionIndexes } from "./partition-indexes.ts";
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
  /** The indexes for closed days that are ready for use. */
  readonly indexes: ReadonlySet<PartitionIndex>;
  /** Indexes whose build was interrupted: writes maintain them, queries cannot use them. */
  readonly brokenIndexes: ReadonlySet<PartitionIndex>;
}

/** The partitions of records that hold a day, oldest first; not record_batches_default. */
export async function listDayPartitions(db: Kysely<Database>): Promise<readonly DayPartition[]> {
  const { rows } = await sql<{ name: string; ready: string[]; broken: string[] }>`
    select partition.relname as name,
      array(select relname::text from pg_index join pg_class on oid = indexrelid
        where indrelid = partition.oid and indisvalid) as ready,
      array(select relname::text from pg_index join pg_class on oid = indexrelid
        where indrelid = partition.oid and not indisvalid) as broken
    from pg_inherits join pg_class partition on partition.oid = inhrelid
    where inhparent = 'record_batches'::regclass and partition.relname ~ '^record_batches_\\d{8}$'
    order by partition.relname`.execute(db);
  return rows.map(({ name, ready, broken }) => {
    const startMs = parseDay(name);
    const endMs = startMs + dayMs;
    const among = (names: readonly string[]) =>
      new Set(allIndexes.filter((index) => names.includes(name + partitionIndexes[index].suffix)));
    return {
      name,
      startMs,
      endMs,
      firstId: firstBatchIdAt(startMs),
      endId: firstBatchIdAt(endMs),
      indexes: among(ready),
      brokenIndexes: among(broken),
    };
  });
}

function parseDay(name: string): number {
  return Date.parse(name.replace(/^record_batches_(\d{4})(\d\d)(\d\d)$/, "$1-$2-$3T00:00:00Z"));
}

export const allIndexes = Object.keys(partitionIndexes) as readonly PartitionIndex[];
