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
 * Removes what is older than it is kept for, unless that is more than expected (retention-guard.ts). One consumer at a
 * time does, in bounded rounds:
 *
 *     records                          whole days, by dropping their partition; what came to records_default, by rows
 *     batches, sessions, drops         by rows, some thousands in a transaction
 *     statistics, letters, incidents   the same
 *
 * Dropping a partition needs records for itself for an instant. Flushes and queries queue behind whoever waits for that,
 * so it waits no longer than a flush takes, gives up, and tries again a little later. (DETACH … CONCURRENTLY would not
 * wait, but PostgreSQL has it only for tables without a default partition.)
 */

export interface RetentionOptions {
  /** For maintenance: statements may take long. */
  readonly pool: Pool;
  readonly days: RetentionDays;
  readonly metrics: Pick<ConsumerMetrics, "droppedPartitions" | "droppedBytes" | "expiredRows">;
  readonly logger: Logger;
  readonly signal: AbortSignal;
}

/** What became of a round. "asks": it would have removed more than is expected, and removed nothing. */
export type Round = "done" | "more" | "asks" | "elsewhere";

/** To be called every few seconds: rounds every hour, and as soon as what was asked is confirmed. */
export function createRetention(parts: RetentionOptions): () => Promise<void> {
  const db = createDatabase(parts.pool);
  let dueAt = 0;
  return async () => {
    if (performance.now() < dueAt && !(await openRequest(db))?.isConfirmed) return;
    await expireAll(parts);
    dueAt = performance.now() + intervalMs;
  };
}

/** Rounds until nothing is left to remove, a confirmation is needed, or another consumer is at it. */
async function expireAll(parts: RetentionOptions): Promise<void> {
  while ((await expire(parts)) === "more" && !parts.signal.aborted) {
    await sleep(roundPauseMs, undefined, { signal: parts.signal, ref: false });
  }
}

/** One round, unless another consumer is at it. The time is PostgreSQL's: no process removes by its own clock. */
export async function expire(
  parts: RetentionOptions,
  readTime: (db: Kysely<Database>) => Promise<Date> = databaseTime,
): Promise<Round> {
  const { pool, days, metrics, logger, signal } = parts;
  const outcome = await exclusively(pool, "retention", async ({ db }): Promise<Round> => {
    const until = performance.now() + roundMsMax;
    const mayGoOn = () => performance.now() < until && !signal.aborted;
    const now = await readTime(db);
    const plan = await planExpiry(db, days, now);
    if (!(await isAllowed(db, plan, now, logger))) return "asks";
    let isMore = false;
    for (const { table, where, partitions } of plan) {
      isMore = (await dropPartitions(parts, db, partitions)) || isMore;
      if (where) isMore = (await removeRows(table, where)) || isMore;
    }
    if (days.ledger !== 0) isMore = (await removeRows("sessions", withoutBatches)) || isMore;
    if (isMore) return "more";
    await closeRequests(db);
    await rememberClock(db, now);
    return "done";

    async function removeRows(table: TableName, where: RawBuilder<SqlBool>): Promise<boolean> {
      const { count, isDone } = await deleteRows(db, table, where, mayGoOn);
      metrics.expiredRows.inc({ table }, count);
      if (count > 0) logger.info({ table, count }, "removed expired rows");
      return !isDone;
    }
  });
  return outcome ?? "elsewhere";
}

/**
 * A session is as old as the youngest batch the ledger has of it. As a subselect of one row, so that it is a look into
 * the index for each session, and never a join of all batches.
 */
const withoutBatches = sql<SqlBool>`(select true from batches
  where batches.device_key = sessions.device_key and batches.session_id = sessions.session_id limit 1) is null`;

/** Returns whether there are more. */
async function dropPartitions(
  { metrics, logger, signal }: RetentionOptions,
  db: Kysely<Database>,
  expired: readonly DayPartition[],
): Promise<boolean> {
  for (const { name } of expired.slice(0, dropsPerRoundMax)) {
    const bytes = await dropPartition(db, name, signal);
    metrics.droppedPartitions.inc();
    metrics.droppedBytes.inc(bytes);
    logger.info({ partition: name, bytes }, "dropped a day partition");
  }
  return expired.length > dropsPerRoundMax;
}

/** Throws PostgreSQL's lock_not_available (55P03) when it never found records free. Returns the bytes it had. */
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

type TableName = keyof Database | "records_default";

/** Skips rows that a flush holds: the next round finds them. */
async function deleteRows(
  db: Kysely<Database>,
  table: TableName,
  where: RawBuilder<SqlBool>,
  mayGoOn: () => boolean,
): Promise<{ count: number; isDone: boolean }> {
  for (let count = 0; ; ) {
    const { numAffectedRows = 0n } = await sql`
      delete from ${sql.table(table)} where ctid = any(array(
        select ctid from ${sql.table(table)} where ${where} limit ${rowsPerDelete} for update skip locked
      ))`.execute(db);
    count += Number(numAffectedRows);
    const isDone = Number(numAffectedRows) < rowsPerDelete;
    if (isDone || !mayGoOn()) return { count, isDone };
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
