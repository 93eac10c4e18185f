import { type Kysely, sql } from "kysely";
import { plainArray } from "#postgres/array-literal.ts";
import type { Database } from "#postgres/tables.ts";
import type { EntryPosition } from "#stream/delivery.ts";
import { clockOffsetMicros, type NewBatch } from "./batches.ts";

/**
 * Reports each of these new batches that shares device, session and sequence with another batch of other content: a
 * device whose "random" session repeats. Both are stored. A declared drop of a batch that arrived after all is not
 * reported. Call after the devices' rows are locked: another flush with a batch of the same device has then either
 * committed, and is seen here, or will see this one. Returns how many were reported.
 */
export async function reportReusedSequences(
  db: Kysely<Database>,
  batches: readonly NewBatch[],
): Promise<number> {
  if (batches.length === 0) return 0;
  const ids = plainArray(batches.map(({ id }) => id));
  const { numAffectedRows } = await sql`
    insert into incidents (kind, device_key, details)
    select 'sequence_reused', batch.device_key, jsonb_build_object(
      'session_id', batch.session_id,
      'sequence', batch.sequence,
      'batch_id', batch.id::text,
      'other_batch_ids', jsonb_agg(other.id::text order by other.id)
    )
    from batches batch
    join batches other using (device_key, session_id, sequence)
    where batch.id = any(${ids}::bigint[])
      and other.id <> batch.id
      and batch.record_count + batch.rejected_count > 0
      and other.record_count + other.rejected_count > 0
      and (other.id < batch.id or other.id <> all(${ids}::bigint[]))
    group by batch.id, batch.device_key, batch.session_id, batch.sequence`.execute(db);
  return Number(numAffectedRows ?? 0n);
}

/**
 * Reports devices whose new batches have a record dated more than ten minutes after its reception, each once a day (UTC,
 * by PostgreSQL's clock), in whichever consumer. Call after the devices' rows are locked. Returns how many were reported.
 */
export async function reportClocksAhead(db: Kysely<Database>, batches: readonly NewBatch[]): Promise<number> {
  const farthest = new Map<number, { readonly batch: NewBatch; readonly aheadMicros: number }>();
  for (const batch of batches) {
    const aheadMicros = clockOffsetMicros(batch);
    const known = farthest.get(batch.deviceKey)?.aheadMicros ?? aheadMicrosMax;
    if (aheadMicros > known) farthest.set(batch.deviceKey, { batch, aheadMicros });
  }
  if (farthest.size === 0) return 0;
  const found = [...farthest].sort(([a], [b]) => a - b);
  const details = found.map(([, { batch, aheadMicros }]) =>
    JSON.stringify({
      session_id: batch.entry.sessionId,
      sequence: String(batch.entry.sequence),
      batch_id: String(batch.id),
      ahead_seconds: Math.floor(aheadMicros / 1e6),
    }),
  );
  const { numAffectedRows } = await sql`
    insert into incidents (kind, device_key, details)
    select 'clock_ahead', device_key, details
    from unnest(${plainArray(found.map(([key]) => key))}::int[], ${details}::jsonb[]) as ahead (device_key, details)
    on conflict (device_key, ((at at time zone 'UTC')::date)) where kind = 'clock_ahead' do nothing`.execute(
    db,
  );
  return Number(numAffectedRows ?? 0n);
}

/** Reports entries that were removed from the stream before they were stored, one incident for each shard. */
export async function reportLostEntries(
  db: Kysely<Database>,
  lost: readonly EntryPosition[],
): Promise<number> {
  if (lost.length === 0) return 0;
  const details = [...Map.groupBy(lost, ({ shard }) => shard)].map(([shard, own]) =>
    JSON.stringify({ shard, count: own.length, entries: own.slice(0, idsMax).map(({ id }) => id) }),
  );
  await sql`
    insert into incidents (kind, details)
    select 'entries_lost', details from unnest(${details}::jsonb[]) as lost (details)`.execute(db);
  return details.length;
}

/** The incident names at most this many entries; its count is exact. */
const idsMax = 100;

/** A device's clock may be this far ahead; queries without an end time include records up to it. */
const aheadMicrosMax = 10 * 60 * 1_000_000;
