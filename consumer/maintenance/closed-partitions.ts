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
 * A day that is over gets no more records, but for those that were late: now it pays to index it.
 *
 *     VACUUM (FREEZE, ANALYZE)  →  each index CONCURRENTLY  →  ANALYZE, for the index is of an expression
 *
 * The newest day first, one step after the other, by one consumer at a time, and none while records wait to be stored.
 * Writers are not held up. What was interrupted is seen in the catalog: an index that is not valid is dropped and made
 * again; nothing else is remembered.
 */

export interface ClosedPartitionsOptions {
  /** For maintenance: statements may take hours. */
  readonly pool: Pool;
  readonly indexes: readonly PartitionIndex[];
  /** What building an index may take of PostgreSQL's memory. */
  readonly memoryMebibytes: number;
  /** How many cores it may take beside its own; none, unless given, for flushes and queries need them. */
  readonly moreCores?: number;
  /** Whether storing is behind, and needs the disk more. */
  readonly isBehind: () => Promise<boolean>;
  readonly metrics: Pick<ConsumerMetrics, "indexSeconds" | "indexFailures">;
  readonly logger: Logger;
  readonly signal: AbortSignal;
}

/** What arrives later than this after midnight still finds its way, into a day that is indexed. */
const closedAfterMs = 3_600_000;

/** Steps until nothing is left to do, a step fails, records wait, or another consumer is at it. */
export async function closePartitions(parts: ClosedPartitionsOptions, now?: Date): Promise<void> {
  const { pool, memoryMebibytes, moreCores = 0, signal, isBehind, logger } = parts;
  await exclusively(pool, "closed partitions", async ({ db }) => {
    const indexes = await buildable(parts, db);
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
          await step(parts);
        } catch (error) {
          // Not thrown, or it would be tried again at once: it is expensive, and a full disk stays full for a while.
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

/** Those that get no more records, oldest first. */
export function closedPartitions(partitions: readonly DayPartition[], now: Date): readonly DayPartition[] {
  return partitions.filter(({ endMs }) => endMs + closedAfterMs <= now.getTime());
}

async function buildable({ indexes, logger }: ClosedPartitionsOptions, db: Kysely<Database>) {
  const { rows } = await sql<{ extname: string }>`select extname from pg_extension`.execute(db);
  const extensions = new Set(rows.map(({ extname }) => extname));
  return indexes.filter((index) => {
    const { extension } = partitionIndexes[index];
    const isThere = extension === undefined || extensions.has(extension);
    if (!isThere) logger.warn({ index, extension }, "the extension is missing, the index is not built");
    return isThere;
  });
}

type Step = (parts: ClosedPartitionsOptions) => Promise<void>;

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
  for (const index of missing) steps.push((parts) => buildIndex(parts, db, name, index));
  if (missing.length > 0) steps.push(async () => void (await sql`analyze ${table}`.execute(db)));
  return steps;
}

/** PostgreSQL forgets it in a crash; then it is done again, which takes little when there is nothing to do. */
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
