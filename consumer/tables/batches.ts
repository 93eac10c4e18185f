import { type Kysely, sql } from "kysely";
import { decodeAttributes, toJsonText } from "#batch/attribute-value.ts";
import type { ScannedBatch } from "#batch/scan.ts";
import { storedTimeRange } from "#batch/stored-time-range.ts";
import { byteaArray, plainArray, plainColumn, textArray } from "#postgres/array-literal.ts";
import type { Database } from "#postgres/tables.ts";
import type { ReceivedBatch } from "../received-batch.ts";

/** A batch that is new to the ledger; its records are stored under `id`. */
export interface NewBatch extends ReceivedBatch {
  readonly id: bigint;
  readonly deviceKey: number;
}

/**
 * How far the device's clock seems to be ahead: the latest time that its records have minus the time of reception. Negative for
 * a batch that waited, or a clock that is behind; 0 for a batch without record times.
 */
export function clockOffsetMicros({ entry: { receivedAtMicros }, scanned }: ReceivedBatch): number {
  return Number(scanned.lastTimeMicros ?? receivedAtMicros) - receivedAtMicros;
}

/**
 * Inserts batches into the ledger and returns the new ones; skips those that the ledger has, or that appear earlier in
 * `batches`. Waits for another flush that inserted the same batch and has not committed yet. Inserts in key order, so
 * that two flushes never wait for each other.
 */
export async function insertNewBatches(
  db: Kysely<Database>,
  batches: readonly ReceivedBatch[],
  deviceKeys: ReadonlyMap<string, number>,
): Promise<readonly NewBatch[]> {
  const keys = batches.map(({ entry }) => deviceKeys.get(entry.deviceId) ?? unregistered(entry.deviceId));
  const ranges = batches.map(({ scanned, entry }) => storedTimeRange(scanned, entry));
  const column = plainColumn(batches);
  const { rows } = await sql<{ index: number; id: string }>`
    with candidates as materialized (
      select
        candidate.*,
        time_from_micros(received_micros) as received_at,
        next_batch_id(time_from_micros(received_micros)) as id
      from unnest(
        ${plainArray(keys)}::int[],
        ${textArray(batches.map(({ entry }) => entry.sessionId))}::text[],
        ${column(({ entry }) => entry.sequence)}::bigint[],
        ${byteaArray(batches.map(({ entry }) => entry.digest))}::bytea[],
        ${column(({ entry }) => entry.receivedAtMicros)}::bigint[],
        ${plainArray(ranges.map(({ firstMicros }) => firstMicros))}::bigint[],
        ${plainArray(ranges.map(({ lastMicros }) => lastMicros))}::bigint[],
        ${column(({ scanned }) => scanned.acceptedCount)}::int[],
        ${column(({ scanned }) => scanned.rejections.length)}::int[],
        ${column(({ scanned }) => scanned.severities)}::int[],
        ${column(({ scanned }) => scanned.bytes.length)}::int[],
        ${textArray(batches.map(({ scanned }) => attributesJson(scanned)))}::jsonb[]
      ) with ordinality as candidate (
        device_key, session_id, sequence, digest, received_micros, first_micros, last_micros,
        record_count, rejected_count, severities, bytes, attributes, position
      )
    ), entered as (
      insert into batches (
        id, device_key, session_id, sequence, digest, received_at, first_time, last_time,
        record_count, rejected_count, severities, bytes, attributes
      )
      select
        id, device_key, session_id, sequence, digest, received_at,
        time_from_micros(first_micros), time_from_micros(last_micros),
        record_count, rejected_count, severities, bytes, attributes
      from candidates
      order by device_key, session_id, sequence, digest, position
      on conflict (device_key, session_id, sequence, digest) do nothing
      returning id
    )
    select (position - 1)::int as index, id from candidates join entered using (id) order by id`.execute(db);
  return rows.map(({ index, id }) => ({ ...batches[index]!, id: BigInt(id), deviceKey: keys[index]! }));
}

function attributesJson({ bytes, attributes }: ScannedBatch): string | null {
  return attributes === undefined ? null : toJsonText(decodeAttributes(bytes, attributes));
}

function unregistered(deviceId: string): never {
  throw new Error(`device ${deviceId} was registered but is missing in devices`);
}
