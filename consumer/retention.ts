import { setTimeout as sleep } from "node:timers/promises";
import { type Kysely, type RawBuilder, type SqlBool, sql } from "kysely";
import type { Pool } from "pg";
import type { Logger } from "#lib/logger.ts";
import { listDayPartitions } from "#postgres/day-partitions.ts";
import { exclusively } from "#postgres/exclusive.ts";
import { dayMs, firstBatchIdAt } from "#postgres/partitions.ts";
import type { Database } from "#postgres/tables.ts";
import type { ConsumerMetrics } from "./metrics.ts";
import type { RetentionDays } from "./retention-days.ts";

/*
 * Removes what is older than it is kept for. One consumer at a time does, in bounded rounds:
 *
 *     records                          whole days, by dropping their partition; what came to records_default, by rows
 *     batches, sessions, drops         by rows, some thousands in a transaction
 *     statistics, letters, incidents   the same
 *
 * Dropping a partition needs records for itself for an instant. Flushes and queries queue behind whoever waits for that,
 * so it waits no longer than a flush takes, gives up, and tries again a little later. (DETACH … CONCURRENTLY would not
 * wait, but PostgreSQL has it only for tables without a default partition.)
 */

export interface RetentionParts {
  /** For maintenance: statements may take long. */
  readonly pool: Pool;
  readonly days: RetentionDays;
  readonly metrics: Pick<ConsumerMetrics, "droppedPartitions" | "droppedBytes" | "expiredRows">;
  readonly logger: Logger;
  readonly signal: AbortSignal;
}

/** Rounds until nothing is left to remove, or another consumer is at it. */
export async function expireAll(parts: RetentionParts): Promise<void> {
  while ((await expire(parts)) === "more" && !parts.signal.aborted) {
    await sleep(roundPauseMs, undefined, { signal: parts.signal, ref: false });
  }
}

/** One round, unless another consumer is at it. */
export async function expire(
  parts: RetentionParts,
  now = new Date(),
): Promise<"done" | "more" | "elsewhere"> {
  const { pool, days, metrics, logger, signal } = parts;
  const outcome = await exclusively(pool, "retention", async ({ db }) => {
    const until = performance.now() + roundMsMax;
    const mayGoOn = () => performance.now() < until && !signal.aborted;
    const cutoff = cutoffsAt(days, now);
    let isMore = await dropPartitions(parts, db, cutoff.records);
    for (const { table, where } of expiredRows(cutoff)) {
      const { count, isDone } = await deleteRows(db, table, where, mayGoOn);
      metrics.expiredRows.inc({ table }, count);
      if (count > 0) logger.info({ table, count }, "removed rows older than they are kept for");
      isMore ||= !isDone;
    }
    return isMore ? "more" : "done";
  });
  return outcome ?? "elsewhere";
}

/** Until when things are removed, in ms since 1970; undefined: nothing is. */
type Cutoffs = Readonly<Record<keyof RetentionDays, number | undefined>>;

function cutoffsAt(days: RetentionDays, now: Date): Cutoffs {
  const todayMs = Math.floor(now.getTime() / dayMs) * dayMs;
  const entries = Object.entries(days).map(([what, kept]) => [
    what,
    kept === 0 ? undefined : todayMs - kept * dayMs,
  ]);
  return Object.fromEntries(entries) as Cutoffs;
}

/** Returns whether there are more. */
async function dropPartitions(
  { metrics, logger, signal }: RetentionParts,
  db: Kysely<Database>,
  cutoffMs: number | undefined,
): Promise<boolean> {
  if (cutoffMs === undefined) return false;
  const expired = (await listDayPartitions(db)).filter(({ endMs }) => endMs <= cutoffMs);
  for (const { name } of expired.slice(0, dropsPerRoundMax)) {
    const bytes = await dropPartition(db, name, signal);
    metrics.droppedPartitions.inc();
    metrics.droppedBytes.inc(bytes);
    logger.info({ partition: name, bytes }, "dropped a day of records");
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

interface Expired {
  readonly table: keyof Database | "records_default";
  readonly where: RawBuilder<SqlBool>;
}

/** A session is as old as the youngest batch the ledger has of it. */
function expiredRows({ records, ledger, statistics, deadLetters, incidents }: Cutoffs): readonly Expired[] {
  const rows: Expired[] = [];
  const add = (
    cutoffMs: number | undefined,
    table: Expired["table"],
    where: (before: RawBuilder<unknown>, beforeId: RawBuilder<unknown>) => RawBuilder<SqlBool>,
  ) => {
    if (cutoffMs === undefined) return;
    const before = sql`to_timestamp(${cutoffMs / 1000})`;
    rows.push({ table, where: where(before, sql`${String(firstBatchIdAt(cutoffMs))}::int8`) });
  };
  add(records, "records_default", (_, id) => sql`batch_id < ${id}`);
  add(ledger, "batches", (_, id) => sql`id < ${id}`);
  add(ledger, "drops", (_, id) => sql`batch_id < ${id}`);
  add(
    ledger,
    "sessions",
    // As a subselect of one row, so that it is a look into the index for each session, and never a join of all batches.
    () => sql`(select true from batches
      where batches.device_key = sessions.device_key and batches.session_id = sessions.session_id limit 1) is null`,
  );
  add(statistics, "log_statistics", (before) => sql`minute < ${before}`);
  add(statistics, "device_statistics", (before) => sql`hour < ${before}`);
  add(deadLetters, "dead_letters", (before) => sql`at < ${before}`);
  add(incidents, "incidents", (before) => sql`at < ${before}`);
  return rows;
}

/** Skips rows that a flush holds: the next round finds them. */
async function deleteRows(
  db: Kysely<Database>,
  table: Expired["table"],
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

const roundMsMax = 20_000;
const roundPauseMs = 5_000;
const dropsPerRoundMax = 10;
const rowsPerDelete = 5_000;
/** About as long as a flush. */
const lockTimeoutMs = 200;
const attemptsMax = 20;
const attemptPauseMs = 500;
