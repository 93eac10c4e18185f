import { setTimeout as sleep } from "node:timers/promises";
import { type Kysely, type RawBuilder, type SqlBool, sql } from "kysely";
import type { Pool } from "pg";
import type { Logger } from "#lib/logger.ts";
import { databaseTime } from "#postgres/database-time.ts";
import type { DayPartition } from "#postgres/day-partitions.ts";
import { exclusively } from "#postgres/exclusive.ts";
import { createDatabase } from "#postgres/pool.ts";
import { closeRequests, openRequest } from "#postgres/retention-requests.ts";
import type { Database } from "#postgres/tables.ts";
import type { ConsumerMetrics } from "../metrics.ts";
import type { RetentionDays } from "./retention-days.ts";
import { isAllowed, rememberClock } from "./retention-guard.ts";
import { planExpiry } from "./retention-plan.ts";

/*
 * Removes expired rows, unless there are more than expected (retention-guard.ts). One consumer at a time, in bounded
 * rounds:
 *
 *     records                               whole days, by dropping their partition; from record_batches_default, by rows
 *     search summaries                      with the days of their records
 *     batches, sessions, drops              by rows, some thousands per transaction
 *     statistics, dead letters, incidents   the same
 *
 * Dropping a partition needs an exclusive lock on records for an instant. Flushes and queries queue behind that lock
 * request, so it waits no longer than a flush takes, gives up, and is retried a little later. (DETACH … CONCURRENTLY does
 * not block, but PostgreSQL supports it only for tables without a default partition.)
 */

export interface RetentionOptions {
  /** For maintenance: statements may take long. */
  readonly pool: Pool;
  readonly days: RetentionDays;
  readonly metrics: Pick<ConsumerMetrics, "droppedPartitions" | "droppedBytes" | "expiredRows">;
  readonly logger: Logger;
  readonly signal: AbortSignal;
}

/** The outcome of a round. "asks": it removed nothing and waits for confirmation; "elsewhere": another consumer runs one. */
export type Round = "done" | "more" | "asks" | "elsewhere";

/** Call the returned function every few seconds: it runs rounds every hour, and as soon as a request is confirmed. */
export function createRetention(options: RetentionOptions): () => Promise<void> {
  const db = createDatabase(options.pool);
  let dueAt = 0;
  return async () => {
    if (performance.now() < dueAt && !(await openRequest(db))?.isConfirmed) return;
    await expireAll(options);
    dueAt = performance.now() + intervalMs;
  };
}

/** Runs rounds until nothing is left, a confirmation is needed, or another consumer runs one. */
async function expireAll(options: RetentionOptions): Promise<void> {
  while ((await expire(options)) === "more" && !options.signal.aborted) {
    await sleep(roundPauseMs, undefined, { signal: options.signal, ref: false });
  }
}

/** Runs one round, unless another consumer runs one. Uses PostgreSQL's clock: no process removes rows by its own. */
export async function expire(
  options: RetentionOptions,
  readTime: (db: Kysely<Database>) => Promise<Date> = databaseTime,
): Promise<Round> {
  const { pool, days, metrics, logger, signal } = options;
  const outcome = await exclusively(pool, "retention", async ({ db }): Promise<Round> => {
    const until = performance.now() + roundMsMax;
    const mayContinue = () => performance.now() < until && !signal.aborted;
    const now = await readTime(db);
    const plan = await planExpiry(db, days, now);
    if (!(await isAllowed(db, plan, now, logger))) return "asks";
    let hasMore = false;
    for (const { table, where, partitions } of plan) {
      hasMore = (await dropPartitions(options, db, partitions)) || hasMore;
      if (where) hasMore = (await removeRows(table, where)) || hasMore;
    }
    if (days.ledger !== 0) hasMore = (await removeRows("sessions", withoutBatches)) || hasMore;
    if (hasMore) return "more";
    await closeRequests(db);
    await rememberClock(db, now);
    return "done";

    async function removeRows(table: TableName, where: RawBuilder<SqlBool>): Promise<boolean> {
      const { count, isDone } = await deleteRows(db, table, where, mayContinue);
      metrics.expiredRows.inc({ table }, count);
      if (count > 0) logger.info({ table, count }, "removed expired rows");
      return !isDone;
    }
  });
  return outcome ?? "elsewhere";
}

/**
 * Sessions without a batch in the ledger are expired. A subselect of one row makes PostgreSQL use one index lookup per
 * session, never a join of all batches.
 */
const withoutBatches = sql<SqlBool>`(select true from batches
  where batches.device_key = sessions.device_key and batches.session_id = sessions.session_id limit 1) is null`;

/** Returns true when more partitions are left. */
async function dropPartitions(
  { metrics, logger, signal }: RetentionOptions,
  db: Kysely<Database>,
  expired: readonly DayPartition[],
): Promise<boolean> {
  for (const { name, endId } of expired.slice(0, dropsPerRoundMax)) {
    const bytes = await dropPartition(db, name, signal);
    // Those that a crash leaves go with the next day.
    await deleteRows(db, "search_summaries", sql`first_id < ${String(endId)}::int8`, () => !signal.aborted);
    metrics.droppedPartitions.inc();
    metrics.droppedBytes.inc(bytes);
    logger.info({ partition: name, bytes }, "dropped a day partition");
  }
  return expired.length > dropsPerRoundMax;
}

/** Throws lock_not_available (55P03) when it never got the lock on records. Returns the bytes of the partition. */
async function dropPartition(db: Kysely<Database>, name: string, signal: AbortSignal): Promise<number> {
  const { rows } = await sql<{ bytes: string }>`
    select pg_total_relation_size(${name}::regclass) as bytes`.execute(db);
  for (let attempt = 1; ; attempt++) {
    try {
      await db.transaction().execute(async (transaction) => {
        await sql`set local lock_timeout = ${sql.lit(lockTimeoutMs)}`.execute(transaction);
        await sql`drop table ${sql.table(name)}`.execute(transaction);
      });
      return Number(rows[0]?.bytes);
    } catch (error) {
      if ((error as { code?: string }).code !== "55P03" || attempt === attemptsMax) throw error;
      await sleep((0.5 + Math.random()) * attemptPauseMs, undefined, { signal });
    }
  }
}

type TableName = keyof Database | "record_batches_default";

/** Skips rows that a flush has locked: the next round finds them. */
async function deleteRows(
  db: Kysely<Database>,
  table: TableName,
  where: RawBuilder<SqlBool>,
  mayContinue: () => boolean,
): Promise<{ count: number; isDone: boolean }> {
  for (let count = 0; ; ) {
    const { numAffectedRows = 0n } = await sql`
      delete from ${sql.table(table)} where ctid = any(array(
        select ctid from ${sql.table(table)} where ${where} limit ${rowsPerDelete} for update skip locked
      ))`.execute(db);
    count += Number(numAffectedRows);
    const isDone = Number(numAffectedRows) < rowsPerDelete;
    if (isDone || !mayContinue()) return { count, isDone };
  }
}

const intervalMs = 3_600_000;
const roundMsMax = 20_000;
const roundPauseMs = 5_000;
const dropsPerRoundMax = 10;
const rowsPerDelete = 5_000;
/** About as long as a flush. */
const lockTimeoutMs = 200;
const attemptsMax = 20;
const attemptPauseMs = 500;
