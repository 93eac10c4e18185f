import { type Kysely, sql } from "kysely";
import type { Pool } from "pg";
import type { Logger } from "#lib/logger.ts";
import { databaseTime } from "#postgres/database-time.ts";
import { type DayPartition, listDayPartitions } from "#postgres/day-partitions.ts";
import { exclusively } from "#postgres/exclusive.ts";
import { type PartitionIndex, partitionIndexes } from "#postgres/partition-indexes.ts";
import type { Database } from "#postgres/tables.ts";
import type { ConsumerMetrics } from "../metrics.ts";

/*
 * Indexes days that are over: they get no more records except late ones, so an index no longer slows down flushes.
 *
 *     VACUUM (FREEZE, ANALYZE)  →  each index CONCURRENTLY  →  ANALYZE, because the index is on an expression
 *
 * One consumer at a time runs one step after the other, newest day first, and stops while records wait to be stored.
 * Writers are not blocked. The catalog is the only state: an index that an interruption left invalid is dropped and
 * built again.
 */

export interface ClosedPartitionsOptions {
  /** For maintenance: statements may take hours. */
  readonly pool: Pool;
  readonly indexes: readonly PartitionIndex[];
  /** Memory that PostgreSQL may use to build an index. */
  readonly memoryMebibytes: number;
  /** Additional cores for building an index; 0 by default, because flushes and queries need them. */
  readonly moreCores?: number;
  /** True while flushes are behind and need the disk more. */
  readonly isBehind: () => Promise<boolean>;
  readonly metrics: Pick<ConsumerMetrics, "indexSeconds" | "indexFailures">;
  readonly logger: Logger;
  readonly signal: AbortSignal;
}

/** Later records are still stored, in a day that already has its indexes. */
const closedAfterMs = 3_600_000;

/** Runs steps until none is left, one fails, or records wait. Does nothing while another consumer runs them. */
export async function closePartitions(options: ClosedPartitionsOptions, now?: Date): Promise<void> {
  const { pool, memoryMebibytes, moreCores = 0, signal, isBehind, logger } = options;
  await exclusively(pool, "closed partitions", async ({ db }) => {
    const indexes = await buildableIndexes(options, db);
    await sql`set maintenance_work_mem = ${sql.lit(`${memoryMebibytes}MB`)}`.execute(db);
    await sql`set max_parallel_maintenance_workers = ${sql.lit(moreCores)}`.execute(db);
    const closed = closedPartitions(await listDayPartitions(db), now ?? (await databaseTime(db)));
    for (const partition of closed.toReversed()) {
      const steps = await planSteps(db, partition, indexes);
      for (const step of steps) {
        if (signal.aborted) return;
        if (await isBehind()) {
          logger.info(
            { partition: partition.name },
            "index builds are postponed until the backlog is stored",
          );
          return;
        }
        try {
          await step(options);
        } catch (error) {
          // Not thrown, because a retry at once would be expensive, and a full disk stays full for a while.
          logger.warn(
            { err: error, partition: partition.name },
            "could not build an index of a closed day, retrying",
          );
          return;
        }
      }
    }
  });
}

/** The partitions that get no more records, oldest first. */
export function closedPartitions(partitions: readonly DayPartition[], now: Date): readonly DayPartition[] {
  return partitions.filter(({ endMs }) => endMs + closedAfterMs <= now.getTime());
}

async function buildableIndexes({ indexes, logger }: ClosedPartitionsOptions, db: Kysely<Database>) {
  const { rows } = await sql<{ extname: string }>`select extname from pg_extension`.execute(db);
  const extensions = new Set(rows.map(({ extname }) => extname));
  return indexes.filter((index) => {
    const { extension } = partitionIndexes[index];
    const isAvailable = extension === undefined || extensions.has(extension);
    if (!isAvailable) logger.warn({ index, extension }, "the extension is missing, the index is not built");
    return isAvailable;
  });
}

type Step = (options: ClosedPartitionsOptions) => Promise<void>;

async function planSteps(
  db: Kysely<Database>,
  { name, endMs, indexes, brokenIndexes }: DayPartition,
  wanted: readonly PartitionIndex[],
): Promise<readonly Step[]> {
  const table = sql.table(name);
  const steps: Step[] = [];
  if (!(await isVacuumedSince(db, name, endMs))) {
    steps.push(async () => void (await sql`vacuum (freeze, analyze) ${table}`.execute(db)));
  }
  for (const index of brokenIndexes) {
    steps.push(() => dropIndex(db, name, index));
  }
  const missing = wanted.filter((index) => !indexes.has(index));
  for (const index of missing) steps.push((options) => buildIndex(options, db, name, index));
  if (missing.length > 0) steps.push(async () => void (await sql`analyze ${table}`.execute(db)));
  return steps;
}

/** PostgreSQL forgets it in a crash; the vacuum then runs again, which is cheap when it has nothing to do. */
async function isVacuumedSince(db: Kysely<Database>, name: string, ms: number): Promise<boolean> {
  const { rows } = await sql<{ is_done: boolean | null }>`
    select last_vacuum >= to_timestamp(${ms / 1000}) as is_done
    from pg_stat_user_tables where relid = ${name}::regclass`.execute(db);
  return rows[0]?.is_done ?? false;
}

async function buildIndex(
  { metrics, logger }: ClosedPartitionsOptions,
  db: Kysely<Database>,
  partition: string,
  index: PartitionIndex,
): Promise<void> {
  const { suffix, method } = partitionIndexes[index];
  const stopTimer = metrics.indexSeconds.startTimer({ index });
  try {
    await sql`create index concurrently ${sql.ref(partition + suffix)} on ${sql.table(partition)} using ${method}`.execute(
      db,
    );
  } catch (error) {
    metrics.indexFailures.inc({ index });
    throw error;
  }
  logger.info({ partition, index, seconds: stopTimer() }, "built an index of a closed day");
}

async function dropIndex(db: Kysely<Database>, partition: string, index: PartitionIndex): Promise<void> {
  const name = sql.ref(partition + partitionIndexes[index].suffix);
  await sql`drop index concurrently if exists ${name}`.execute(db);
}
