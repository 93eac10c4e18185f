import { type Kysely, type RawBuilder, sql } from "kysely";
import type { Database } from "#postgres/tables.ts";
import { selectMicros, timestamptz } from "../fields/time.ts";

/** A session of one device; int8 arrives as a decimal string. */
export interface SessionRow {
  readonly session_id: string;
  readonly first_received_micros: string;
  readonly last_received_micros: string;
  readonly batch_count: string;
  readonly record_count: string;
  /** The last {@link rangesMax} of each, ascending. */
  readonly received: readonly Range[];
  readonly holes: readonly Range[];
  readonly missing_count: string;
  readonly dropped_count: string;
  readonly is_truncated: boolean;
}

/** The last session of the page before. */
export interface SessionPosition {
  readonly firstReceivedMicros: bigint;
  readonly sessionId: string;
}

/** First and last number, both included, decimal. */
export type Range = readonly [first: string, last: string];

/** Ranges that a device declared as dropped. */
export interface DropRow {
  readonly session_id: string;
  readonly first_sequence: string;
  readonly last_sequence: string;
  readonly reason: string;
  readonly received_micros: string;
}

/**
 * The newest sessions after a position, along the index on their beginning: reads as much as it returns. The
 * consumer maintains the ranges of each, so neither its batches nor other sessions are read.
 */
export async function readSessions(
  db: Kysely<Database>,
  deviceKey: number,
  after: SessionPosition | undefined,
  limit: number,
): Promise<SessionRow[]> {
  const isBeyond =
    after === undefined
      ? sql`true`
      : sql`(first_received_at, session_id) < (${timestamptz(after.firstReceivedMicros)}, ${after.sessionId}::text)`;
  const { rows } = await sql<SessionRow>`
    with page as materialized (
      select * from sessions where device_key = ${deviceKey} and ${isBeyond}
      order by first_received_at desc, session_id desc limit ${limit}
    ), chosen as (
      select *, dropped - received as only_dropped, case when isempty(received + dropped) then '{}'::int8multirange
          else int8multirange(int8range(1, upper(received + dropped))) - received - dropped end as holes
      from page
    )
    select session_id, batch_count, record_count,
      ${selectMicros(sql.ref("first_received_at"))} as first_received_micros,
      ${selectMicros(sql.ref("last_received_at"))} as last_received_micros,
      ${lastElement(sql`received`)} as received, ${lastElement(sql`holes`)} as holes,
      ${rangeSize(sql`holes`)} as missing_count, ${rangeSize(sql`only_dropped`)} as dropped_count,
      greatest(${countElements(sql`received`)}, ${countElements(sql`dropped`)}) >= ${rememberedRangesMax} as is_truncated
    from chosen
    order by chosen.first_received_at desc, session_id desc`.execute(db);
  return rows;
}

/** The number of sessions of the device, counted up to {@link sessionsCountedMax}. */
export async function countSessions(db: Kysely<Database>, deviceKey: number): Promise<number> {
  const { rows } = await sql<{ count: string }>`
    select count(*) as count
    from (select from sessions where device_key = ${deviceKey} limit ${sessionsCountedMax}) as counted`.execute(
    db,
  );
  return Number(rows[0]?.count);
}

/** The latest time of a record of the device; undefined when none of its batches is left. */
export async function readLatestTime(db: Kysely<Database>, deviceKey: number): Promise<bigint | undefined> {
  const { rows } = await sql<{ micros: string }>`
    select ${selectMicros(sql.ref("last_time"))} as micros from batches where device_key = ${deviceKey}
    order by last_time desc limit 1`.execute(db);
  return rows[0] && BigInt(rows[0].micros);
}

/** The last {@link rangesMax} declarations of each session, in their order. */
export async function readDrops(
  db: Kysely<Database>,
  deviceKey: number,
  sessionIds: readonly string[],
): Promise<DropRow[]> {
  const { rows } = await sql<DropRow>`
    select session_id, first_sequence, last_sequence, reason, ${selectMicros(sql`received_at`)} as received_micros
    from unnest(${sessionIds}::text[]) as wanted (id) cross join lateral (
      select * from drops where device_key = ${deviceKey} and session_id = wanted.id
      order by batch_id desc limit ${rangesMax}
    ) as last
    order by batch_id`.execute(db);
  return rows;
}

/** As a list of [first, last]. */
function lastElement(ranges: RawBuilder<unknown>): RawBuilder<unknown> {
  return sql`(
    select coalesce(json_agg(json_build_array(lower(range)::text, (upper(range) - 1)::text) order by range), '[]')
    from (select unnest(${ranges}) as range order by range desc limit ${rangesMax}) as last
  )`;
}

function rangeSize(ranges: RawBuilder<unknown>): RawBuilder<unknown> {
  return sql`(select coalesce(sum(upper(range) - lower(range)), 0)::int8 from unnest(${ranges}) as range)`;
}

function countElements(ranges: RawBuilder<unknown>): RawBuilder<number> {
  return sql`(select count(*) from unnest(${ranges}))`;
}

const rangesMax = 100;
/** The marker that bounded_ranges() leaves in a session with too many ranges. */
const rememberedRangesMax = 1000;
const sessionsCountedMax = 1000;
