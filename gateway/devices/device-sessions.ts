import { type Kysely, type RawBuilder, sql } from "kysely";
import type { Database } from "#postgres/tables.ts";
import { selectMicros } from "../time.ts";

/** A session of one device, as the ledger tells it; int8 arrives as a decimal string. */
export interface SessionRow {
  readonly session_id: string;
  readonly first_received_micros: string;
  readonly last_received_micros: string;
  readonly batch_count: string;
  readonly record_count: string;
  readonly session_count: string;
}

/** First and last number, both included, decimal. */
export type Range = readonly [first: string, last: string];

/** How completely one session arrived. */
export interface SessionRanges {
  readonly session_id: string;
  /** The last {@link rangesMax} of each, rising. */
  readonly received: readonly Range[];
  readonly holes: readonly Range[];
  readonly missing_count: string;
  readonly dropped_count: string;
}

/** What a device declared as dropped. */
export interface DropRow {
  readonly session_id: string;
  readonly first_sequence: string;
  readonly last_sequence: string;
  readonly reason: string;
  readonly received_micros: string;
}

/** The sessions received last. Two batches under one number, which is an incident, fill one number. */
export async function readSessions(
  db: Kysely<Database>,
  deviceKey: number,
  sessionsMax: number,
): Promise<SessionRow[]> {
  const { rows } = await sql<SessionRow>`
    select session_id, count(*) as batch_count, sum(record_count)::int8 as record_count,
      ${selectMicros(sql`min(received_at)`)} as first_received_micros,
      ${selectMicros(sql`max(received_at)`)} as last_received_micros,
      count(*) over () as session_count
    from batches where device_key = ${deviceKey}
    group by session_id
    order by max(received_at) desc, session_id
    limit ${sessionsMax}`.execute(db);
  return rows;
}

/**
 * The ledger's unique index alone tells the numbers that arrived. A declaration that batches were dropped lies in the
 * ledger under its first number, which counts as received only if a batch with records has it too.
 */
export async function readRanges(
  db: Kysely<Database>,
  deviceKey: number,
  sessionIds: readonly string[],
): Promise<SessionRanges[]> {
  const { rows } = await sql<SessionRanges>`
    with islands as (
      select session_id, int8range(min(sequence), least(max(sequence), ${rangedMax}), '[]') as range
      from (
        select session_id, sequence,
          sequence - dense_rank() over (partition by session_id order by sequence) as island
        from batches where device_key = ${deviceKey} and session_id = any(${sessionIds}::text[])
      ) as numbered
      where sequence <= ${rangedMax}
      group by session_id, island
    ), stored as (
      select session_id, range_agg(range) as ranges from islands group by session_id
    ), declared as (
      select session_id,
        range_agg(int8range(first_sequence, least(last_sequence, ${rangedMax}), '[]')) as ranges,
        coalesce(range_agg(int8range(first_sequence, first_sequence, '[]')) filter (where not exists (
          select from batches
          where batches.device_key = drops.device_key and batches.session_id = drops.session_id
            and batches.sequence = drops.first_sequence and record_count + rejected_count > 0
        )), '{}') as only_declared
      from drops
      where device_key = ${deviceKey} and session_id = any(${sessionIds}::text[])
        and first_sequence <= ${rangedMax}
      group by session_id
    ), settled as (
      select session_id, stored.ranges - coalesce(only_declared, '{}') as received,
        coalesce(declared.ranges, '{}') as dropped
      from stored left join declared using (session_id)
    ), told as (
      select session_id, received, dropped - received as dropped,
        int8multirange(int8range(1, upper(received + dropped))) - received - dropped as holes
      from settled
    )
    select session_id, ${lastOf(sql`received`)} as received, ${lastOf(sql`holes`)} as holes,
      ${sizeOf(sql`holes`)} as missing_count, ${sizeOf(sql`dropped`)} as dropped_count
    from told`.execute(db);
  return rows;
}

/** The last {@link rangesMax} declarations of each session, in their order. */
export async function readDrops(
  db: Kysely<Database>,
  deviceKey: number,
  sessionIds: readonly string[],
): Promise<DropRow[]> {
  const { rows } = await sql<DropRow>`
    select session_id, first_sequence, last_sequence, reason, ${selectMicros(sql`received_at`)} as received_micros
    from (
      select *, row_number() over (partition by session_id order by batch_id desc) as place
      from drops where device_key = ${deviceKey} and session_id = any(${sessionIds}::text[])
    ) as placed
    where place <= ${rangesMax}
    order by batch_id`.execute(db);
  return rows;
}

/** As a list of [first, last]. */
function lastOf(ranges: RawBuilder<unknown>): RawBuilder<unknown> {
  return sql`(
    select coalesce(json_agg(json_build_array(lower(range)::text, (upper(range) - 1)::text) order by range), '[]')
    from (select unnest(${ranges}) as range order by range desc limit ${rangesMax}) as last
  )`;
}

function sizeOf(ranges: RawBuilder<unknown>): RawBuilder<unknown> {
  return sql`(select coalesce(sum(upper(range) - lower(range)), 0)::int8 from unnest(${ranges}) as range)`;
}

const rangesMax = 100;
/** The end of a range is one beyond its last number, and must fit into a bigint too. */
const rangedMax = sql`9223372036854775806`;
