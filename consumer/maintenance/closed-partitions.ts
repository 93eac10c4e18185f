import { type Kysely, sql } from "kysely";
import type { Pool } from "pg";
import type { Logger } from "#lib/logger.ts";
import { databaseTime } from "#postgres/database-time.ts";
import { type DayPartition, listDayPartitions } from "#postgres/day-partitions.ts";
import { exclusively } from "#postgres/exclusive.ts";
import type { Database } from "#postgres/tables.ts";

/*
 * Freezes and analyses days that are over, with VACUUM (FREEZE, ANALYZE): autovacuum then never reads them again, and the
 * planner knows their sizes. One consumer at a time, newest day first, and not while records wait to be stored. Writers are
 * not blocked. PostgreSQL's statistics are the only state.
 */

export interface ClosedPartitionsOptions {
  /** For maintenance: statements may take long. */
  readonly pool: Pool;
  /** True while flushes are behind and need the disk more. */
  readonly isBehind: () => Promise<boolean>;
  readonly logger: Logger;
  readonly signal: AbortSignal;
}

/** Later records are still stored. */
const closedAfterMs = 3_600_000;

/** Freezes day after day until none is left, one fails, or records wait. Does nothing while another consumer does. */
export async function closePartitions(options: ClosedPartitionsOptions, now?: Date): Promise<void> {
  const { pool, signal, isBehind, logger } = options;
  await exclusively(pool, "closed partitions", async ({ db }) => {
    const closed = closedPartitions(await listDayPartitions(db), now ?? (await databaseTime(db)));
    for (const { name, endMs } of closed.toReversed()) {
      if (await isVacuumedSince(db, name, endMs)) continue;
      if (signal.aborted) return;
      if (await isBehind()) {
        logger.info({ partition: name }, "closing days is postponed until the backlog is stored");
        return;
      }
      try {
        await sql`vacuum (freeze, analyze) ${sql.table(name)}`.execute(db);
      } catch (error) {
        // Not thrown, because a retry at once would be expensive, and a full disk stays full for a while.
        logger.warn({ err: error, partition: name }, "could not close a day, retrying");
        return;
      }
    }
  });
}

/** The partitions that get no more records, except late ones, oldest first. */
export function closedPartitions(partitions: readonly DayPartition[], now: Date): readonly DayPartition[] {
  return partitions.filter(({ endMs }) => endMs + closedAfterMs <= now.getTime());
}

/** PostgreSQL forgets it in a crash; the vacuum then runs again, which is cheap when it has nothing to do. */
async function isVacuumedSince(db: Kysely<Database>, name: string, ms: number): Promise<boolean> {
  const { rows } = await sql<{ is_done: boolean | null }>`
    select last_vacuum >= to_timestamp(${ms / 1000}) as is_done
    from pg_stat_user_tables where relid = ${name}::regclass`.execute(db);
  return rows[0]?.is_done ?? false;
}
