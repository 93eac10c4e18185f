import { type Kysely, sql } from "kysely";
import type { Pool } from "pg";
import { timeSources } from "#batch/record-time.ts";
import type { Logger } from "#lib/logger.ts";
import { plainArray, plainColumn } from "#postgres/array-literal.ts";
import { exclusively } from "#postgres/exclusive.ts";
import type { Database } from "#postgres/tables.ts";
import type { ConsumerMetrics } from "../metrics.ts";

/*
 * Dates records anew whose device had no clock when it sent them, once another record of their session says when the
 * device booted (docs/decisions/0033-uptime.md). One consumer at a time, in bounded transactions of some batches each:
 *
 *     records.time → batches.first_time, last_time → log_statistics → undated_batches, COMMIT
 *
 * Each transaction does all of it for its batches or nothing, so a crash leaves the rest for the next consumer.
 */

export interface DatingOptions {
  /** For maintenance: statements may take long. */
  readonly pool: Pool;
  readonly metrics: Pick<ConsumerMetrics, "datedRecords" | "expiredRows">;
  readonly logger: Logger;
  readonly signal: AbortSignal;
  /** How long records are kept; 0: forever. */
  readonly recordDays: number;
}

/** Dates all that can be dated, unless another consumer is at it. */
export async function dateAnew(options: DatingOptions): Promise<void> {
  const { pool, metrics, logger, signal } = options;
  await exclusively(pool, "dating", async ({ db }) => {
    for (;;) {
      const session = await nextSession(db);
      if (session === undefined) break;
      let records = 0;
      for (;;) {
        if (signal.aborted) return;
        const dated = await dateBatches(db, session);
        if (dated === undefined) break;
        metrics.datedRecords.inc(dated);
        records += dated;
      }
      await finishSession(db, session);
      logger.info({ ...session, records }, "dated records anew: their device learned the time");
    }
    const count = await forgetOldBatches(db, options.recordDays);
    metrics.expiredRows.inc({ table: "undated_batches" }, count);
  });
}

interface SessionToDate {
  readonly device_key: number;
  readonly session_id: string;
  readonly booted_micros: string;
}

async function nextSession(db: Kysely<Database>): Promise<SessionToDate | undefined> {
  const { rows } = await sql<SessionToDate>`
    select device_key, session_id, (extract(epoch from booted_at) * 1000000)::bigint as booted_micros
    from sessions
    where has_undated and booted_at is not null
    order by device_key, session_id limit 1`.execute(db);
  return rows[0];
}

/** Dates the session's next batches in one transaction. Returns the number of changed records; undefined: no batch is left. */
function dateBatches(db: Kysely<Database>, session: SessionToDate): Promise<number | undefined> {
  return db.transaction().execute(async (transaction) => {
    const ids = await chooseBatches(transaction, session);
    if (ids.length === 0) return undefined;
    const list = plainArray(ids);
    const { changes, records } = await dateRecords(transaction, list, session.booted_micros);
    await sql`
      update batches set first_time = times.first, last_time = times.last
      from (
        select batch_id, min(time) as first, max(time) as last from records
        where batch_id = any(${list}::bigint[]) group by batch_id
      ) as times
      where batches.id = times.batch_id`.execute(transaction);
    await changeStatistics(transaction, changes);
    await sql`delete from undated_batches where batch_id = any(${list}::bigint[])`.execute(transaction);
    return records;
  });
}

async function chooseBatches(db: Kysely<Database>, session: SessionToDate): Promise<readonly bigint[]> {
  const { rows } = await sql<{ batch_id: string; records_so_far: string }>`
    select batch_id, sum(records) over (order by batch_id) as records_so_far
    from (
      select batch_id, coalesce(batches.record_count, 0) as records
      from undated_batches undated left join batches on batches.id = batch_id
      where undated.device_key = ${session.device_key} and undated.session_id = ${session.session_id}
      order by batch_id limit ${batchesMax}
      for update of undated
    ) as next order by batch_id`.execute(db);
  return rows
    .filter(({ records_so_far }, index) => index === 0 || Number(records_so_far) <= recordsMax)
    .map(({ batch_id }) => BigInt(batch_id));
}

interface MinuteChange {
  readonly micros: string;
  readonly severity: number;
  readonly change: string;
}

/**
 * Changes the estimated times of records with an uptime; returns what that changes in each minute. Rows in which no time is
 * an estimate stay as they are.
 */
async function dateRecords(db: Kysely<Database>, batchIds: string, bootedMicros: string) {
  const { rows } = await sql<MinuteChange & { records: string }>`
    with opened as (
      select batch_id, first_index, place, severity, time as before, uptime, record.flags,
        uptime is not null
          and ((record.flags >> 1) & 7) in (${sql.lit(timeSources.uptime)}, ${sql.lit(timeSources.observed)})
          as is_estimate
      from record_batches cross join lateral unnest(times, severities, uptimes, record_batches.flags)
        with ordinality as record (time, severity, uptime, flags, place)
      where batch_id = any(${batchIds}::bigint[]) and uptimes is not null
    ), dated as (
      select *, case when is_estimate
        then time_from_micros(least(${bootedMicros}::bigint + uptime / 1000, ${Number.MAX_SAFE_INTEGER}::bigint))
        else before end as after
      from opened
    ), changed as (
      select batch_id, first_index, array_agg(after order by place) as times,
        array_agg(case when is_estimate
          then ((flags & ${sql.lit(~(7 << 1))}) | ${sql.lit(timeSources.bootTime << 1)})::smallint
          else flags end order by place) as flags
      from dated group by batch_id, first_index having bool_or(is_estimate)
    ), updated as (
      update record_batches set times = changed.times, flags = changed.flags
      from changed
      where (record_batches.batch_id, record_batches.first_index) = (changed.batch_id, changed.first_index)
    ), moved as (
      select date_trunc('minute', before, 'UTC') as minute, severity, -1 as change from dated where is_estimate
      union all
      select date_trunc('minute', after, 'UTC'), severity, 1 from dated where is_estimate
    )
    select (extract(epoch from minute) * 1000000)::bigint as micros, severity, sum(change) as change,
      (select count(*) from dated where is_estimate) as records
    from moved group by minute, severity order by minute, severity`.execute(db);
  return { changes: rows.filter(({ change }) => change !== "0"), records: Number(rows[0]?.records ?? 0) };
}

/** Of a minute that retention has removed nothing is taken away. Locks rows in the order in which flushes do. */
async function changeStatistics(db: Kysely<Database>, changes: readonly MinuteChange[]): Promise<void> {
  if (changes.length === 0) return;
  const column = plainColumn(changes);
  await sql`
    insert into log_statistics as stored (minute, severity, record_count)
    select minute, severity, change
    from unnest(
      ${column(({ micros }) => BigInt(micros))}::bigint[],
      ${column(({ severity }) => severity)}::smallint[],
      ${column(({ change }) => BigInt(change))}::bigint[]
    ) as changed (micros, severity, change),
    lateral (select time_from_micros(micros) as minute) as timed
    where change > 0 or exists (
      select from log_statistics kept where kept.minute = timed.minute and kept.severity = changed.severity)
    order by minute, severity
    on conflict (minute, severity) do update set record_count = stored.record_count + excluded.record_count`.execute(
    db,
  );
}

/** A flush that adds a batch to the session locks its row, so it commits before this looks, or marks the row again. */
function finishSession(db: Kysely<Database>, { device_key, session_id }: SessionToDate): Promise<void> {
  return db.transaction().execute(async (transaction) => {
    const session = sql`device_key = ${device_key} and session_id = ${session_id}`;
    await sql`select from sessions where ${session} for no key update`.execute(transaction);
    await sql`
      update sessions set has_undated = exists (select from undated_batches where ${session})
      where ${session}`.execute(transaction);
  });
}

/** By PostgreSQL's clock, and some at a time: the next round removes more. */
async function forgetOldBatches(db: Kysely<Database>, recordDays: number): Promise<number> {
  const days = recordDays === 0 ? undatedDaysMax : Math.min(recordDays, undatedDaysMax);
  const { numAffectedRows = 0n } = await sql`
    delete from undated_batches where batch_id in (
      select batch_id from undated_batches
      where batch_id < (extract(epoch from now() - ${days} * interval '1 day') * 1000)::bigint << 20
      order by batch_id limit ${forgottenMax} for update skip locked
    )`.execute(db);
  return Number(numAffectedRows);
}

const batchesMax = 100;
const recordsMax = 50_000;
const undatedDaysMax = 30;
const forgottenMax = 10_000;
