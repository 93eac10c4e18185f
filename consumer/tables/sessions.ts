import { type Kysely, type RawBuilder, sql } from "kysely";
import { isUndated, ownBootMicros } from "#batch/record-time.ts";
import { plainColumn, textArray } from "#postgres/array-literal.ts";
import type { Database } from "#postgres/tables.ts";
import type {
  ProgressRequest,
  SequenceRangeText,
  SessionProgress,
  SessionRanges,
} from "#stream/session-progress.ts";
import type { ReceivedBatch } from "../received-batch.ts";
import type { NewBatch } from "./batches.ts";

/** The result of {@link settleSessions}. */
export interface SettledSessions {
  /** The progress of each session. */
  readonly progress: readonly SessionProgress[];
  /**
   * New batches whose sequence their session may have had before; nearly always none. A session with thousands of holes
   * keeps only its lowest ranges, so a repeat above them goes unnoticed.
   */
  readonly possibleReuses: readonly NewBatch[];
}

/**
 * Adds the batches to the ranges and counts of their sessions. Pass every batch of a flush: one that the ledger already
 * had changes nothing, but its device may still wait for the progress. A session that a server named has counts and no
 * ranges. Remembers when a device booted by its own clock, and whether batches wait to be dated by that. Locks rows in key order; call after the devices' rows are locked.
 *
 * Each session is found by its key, however many its device has; its ranges are at most 32 KiB.
 */
export async function settleSessions(
  db: Kysely<Database>,
  batches: readonly ReceivedBatch[],
  fresh: readonly NewBatch[],
  deviceKeys: ReadonlyMap<string, number>,
): Promise<SettledSessions> {
  if (batches.length === 0) return { progress: [], possibleReuses: [] };
  const names = new Map(batches.map(({ entry }) => [deviceKeys.get(entry.deviceId), entry.deviceId]));
  const newEntries = new Set(fresh.map(({ entry }) => entry));
  const column = plainColumn(batches);
  const { rows } = await sql<{
    device_key: number;
    session_id: string;
    committed: string;
    dropped_count: string;
    meets: boolean;
  }>`
    with added as materialized (
      select
        device_key, session_id,
        coalesce(range_agg(range) filter (where not is_dropped), '{}') as received,
        coalesce(range_agg(range) filter (where is_dropped), '{}') as dropped,
        range_agg(range) filter (where is_new and not is_dropped) as fresh,
        time_from_micros(min(received_micros)) as first_received_at,
        time_from_micros(max(received_micros)) as last_received_at,
        count(*) filter (where is_new) as batch_count,
        coalesce(sum(records) filter (where is_new), 0) as record_count,
        time_from_micros(max(booted_micros)) as booted_at,
        bool_or(is_new and is_undated) as has_undated
      from unnest(
        ${column(({ entry }) => deviceKeys.get(entry.deviceId)!)}::int[],
        ${textArray(batches.map(({ entry }) => entry.sessionId))}::text[],
        ${column(({ entry }) => entry.sequence)}::bigint[],
        ${column(({ entry, scanned }) => scanned.dropped?.lastSequence ?? entry.sequence)}::bigint[],
        ${column(({ scanned }) => scanned.dropped !== undefined)}::boolean[],
        ${column(({ entry }) => newEntries.has(entry))}::boolean[],
        ${column(({ entry }) => entry.receivedAtMicros)}::bigint[],
        ${column(({ scanned }) => scanned.acceptedCount)}::int[],
        ${column(({ scanned, entry }) => ownBootMicros(scanned, entry) ?? "null")}::bigint[],
        ${column(({ scanned, entry }) => isUndated(scanned, entry))}::boolean[]
      ) as batch (device_key, session_id, first, last, is_dropped, is_new, received_micros, records, booted_micros,
        is_undated),
      lateral (select case when session_id not like '~%' then int8range(first, last, '[]') end as range) as ranged
      group by device_key, session_id
    ), settled as (
      insert into sessions (device_key, session_id, received, dropped,
        first_received_at, last_received_at, batch_count, record_count, booted_at, has_undated)
      select device_key, session_id, received, dropped,
        first_received_at, last_received_at, batch_count, record_count, booted_at, has_undated
      from added order by device_key, session_id
      on conflict (device_key, session_id) do update set
        received = bounded_ranges(sessions.received + excluded.received),
        dropped = bounded_ranges(sessions.dropped + excluded.dropped),
        first_received_at = least(sessions.first_received_at, excluded.first_received_at),
        last_received_at = greatest(sessions.last_received_at, excluded.last_received_at),
        batch_count = sessions.batch_count + excluded.batch_count,
        record_count = sessions.record_count + excluded.record_count,
        -- Within a second only the readings of the device's two clocks differ, and an index has to change with it.
        booted_at = case when excluded.booted_at < sessions.booted_at + interval '1 second' then sessions.booted_at
          else coalesce(excluded.booted_at, sessions.booted_at) end,
        has_undated = sessions.has_undated or excluded.has_undated
      returning device_key, session_id, received, dropped, old.received as before
    )
    select
      device_key, session_id,
      contiguous_until(settled.received + settled.dropped) as committed,
      dropped_count(settled.received, settled.dropped) as dropped_count,
      coalesce(before && fresh, false) as meets
    from settled join added using (device_key, session_id)
    where session_id not like '~%'`.execute(db);
  const settled = new Map(rows.map((row) => [`${row.device_key} ${row.session_id}`, row]));
  const seen = new Set<string>();
  const possibleReuses = fresh.filter(({ deviceKey, entry: { sessionId, sequence }, scanned }) => {
    const session = settled.get(`${deviceKey} ${sessionId}`);
    if (session === undefined || scanned.dropped !== undefined) return false;
    const name = `${deviceKey} ${sessionId} ${sequence}`;
    const isRepeat = seen.has(name);
    seen.add(name);
    return session.meets || isRepeat;
  });
  const progress = rows.map((row) => ({
    deviceId: names.get(row.device_key)!,
    sessionId: row.session_id,
    committed: BigInt(row.committed),
    droppedCount: BigInt(row.dropped_count),
  }));
  return { progress, possibleReuses };
}

/** Inserts the drops that new batches declare. Returns how many batches were dropped. */
export async function insertDrops(db: Kysely<Database>, batches: readonly NewBatch[]): Promise<bigint> {
  const drops = batches.filter(({ scanned }) => scanned.dropped !== undefined);
  if (drops.length === 0) return 0n;
  const column = <T>(value: (batch: NewBatch) => T) => drops.map(value);
  await sql`
    insert into drops (batch_id, device_key, session_id, first_sequence, last_sequence, reason, received_at)
    select batch_id, device_key, session_id, first, last, reason, time_from_micros(received_micros)
    from unnest(
      ${column(({ id }) => id)}::bigint[],
      ${column(({ deviceKey }) => deviceKey)}::int[],
      ${column(({ entry }) => entry.sessionId)}::text[],
      ${column(({ entry }) => entry.sequence)}::bigint[],
      ${column(({ scanned }) => scanned.dropped!.lastSequence)}::bigint[],
      ${column(({ scanned }) => scanned.dropped!.reason)}::text[],
      ${column(({ entry }) => entry.receivedAtMicros)}::bigint[]
    ) as drop (batch_id, device_key, session_id, first, last, reason, received_micros)`.execute(db);
  return drops.reduce(
    (sum, { entry, scanned }) => sum + scanned.dropped!.lastSequence - entry.sequence + 1n,
    0n,
  );
}

/** Reads the progress, or on request the ranges, of these sessions; an unknown session has progress 0. */
export async function readSessions(
  db: Kysely<Database>,
  requests: readonly ProgressRequest[],
): Promise<readonly (SessionProgress | SessionRanges)[]> {
  const { rows } = await sql<{
    index: number;
    committed: string;
    dropped_count: string;
    received: SequenceRangeText[] | null;
    dropped: SequenceRangeText[] | null;
  }>`
    select
      (position - 1)::int as index,
      coalesce(contiguous_until(received + dropped), 0) as committed,
      coalesce(dropped_count(received, dropped), 0) as dropped_count,
      case when with_ranges then ${toRangeList(sql`received`)} end as received,
      case when with_ranges then ${toRangeList(sql`dropped`)} end as dropped
    from unnest(
      ${requests.map(({ deviceId }) => deviceId)}::text[],
      ${requests.map(({ sessionId }) => sessionId)}::text[],
      ${requests.map(({ withRanges }) => withRanges)}::boolean[]
    ) with ordinality as request (device_id, session_id, with_ranges, position)
    left join devices using (device_id)
    left join sessions on sessions.device_key = devices.key and sessions.session_id = request.session_id`.execute(
    db,
  );
  return rows.map(({ index, committed, dropped_count, received, dropped }) => {
    const { deviceId, sessionId } = requests[index]!;
    const progress = {
      deviceId,
      sessionId,
      committed: BigInt(committed),
      droppedCount: BigInt(dropped_count),
    };
    return received && dropped ? { ...progress, received, dropped } : progress;
  });
}

/** The lowest 1,000 ranges as a list of [first, last]. */
function toRangeList(ranges: RawBuilder<unknown>): RawBuilder<unknown> {
  return sql`(
    select coalesce(json_agg(json_build_array(lower(range)::text, (upper(range) - 1)::text)), '[]')
    from (select unnest(${ranges}) as range limit 1000) as lowest
  )`;
}
