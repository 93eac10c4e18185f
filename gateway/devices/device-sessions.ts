import { type Kysely, sql } from "kysely";
import type { Database } from "#postgres/tables.ts";
import { selectMicros } from "../time.ts";

/** A session of one device, as the ledger tells it; int8 arrives as a decimal string. */
export interface SessionRow {
  readonly session_id: string;
  readonly first_received_micros: string;
  readonly last_received_micros: string;
  readonly batch_count: string;
  readonly record_count: string;
  /** Numbers between 1 and the last one that no stored batch has. */
  readonly missing_count: string;
  readonly session_count: string;
}

/** Numbers without a hole between them, and where the hole before them begins, if there is one. */
export interface RangeRow {
  readonly session_id: string;
  readonly first: string;
  readonly last: string;
  readonly hole_first: string;
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
      max(sequence) - count(distinct sequence) as missing_count,
      count(*) over () as session_count
    from batches where device_key = ${deviceKey}
    group by session_id
    order by max(received_at) desc, session_id
    limit ${sessionsMax}`.execute(db);
  return rows;
}

/** The last {@link rangesMax} ranges of each session, rising; read from the ledger's unique index alone. */
export async function readRanges(
  db: Kysely<Database>,
  deviceKey: number,
  sessionIds: readonly string[],
): Promise<RangeRow[]> {
  const { rows } = await sql<RangeRow>`
    select session_id, first, last, coalesce(previous, 0) + 1 as hole_first
    from (
      select *, lag(last) over (partition by session_id order by first) as previous,
        row_number() over (partition by session_id order by first desc) as place
      from (
        select session_id, min(sequence) as first, max(sequence) as last
        from (
          select session_id, sequence,
            sequence - dense_rank() over (partition by session_id order by sequence) as island
          from batches where device_key = ${deviceKey} and session_id = any(${sessionIds}::text[])
        ) as numbered
        group by session_id, island
      ) as ranges
    ) as placed
    where place <= ${rangesMax}
    order by session_id, first`.execute(db);
  return rows;
}

const rangesMax = 100;
