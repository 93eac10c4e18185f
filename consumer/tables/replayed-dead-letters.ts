import { type Kysely, sql } from "kysely";
import type { Database } from "#postgres/tables.ts";
import type { ReceivedBatch } from "../received-batch.ts";

/**
 * Marks the dead letters that `batches` replayed, whether the batch is new or the ledger had it already. A record is
 * marked only if PostgreSQL accepted it this time: otherwise it became another dead letter.
 */
export async function markReplayed(
  db: Kysely<Database>,
  batches: readonly ReceivedBatch[],
  deviceKeys: ReadonlyMap<string, number>,
): Promise<void> {
  const replays = batches.flatMap(({ entry }) => (entry.deadLetterId === undefined ? [] : [entry]));
  if (replays.length === 0) return;
  await sql`
    update dead_letters as dead_letter set replayed_at = now(), replayed_batch = stored.id
    from unnest(
      ${replays.map(({ deadLetterId: letterId }) => letterId)}::bigint[],
      ${replays.map(({ deviceId }) => deviceKeys.get(deviceId))}::int[],
      ${replays.map(({ sessionId }) => sessionId)}::text[],
      ${replays.map(({ sequence }) => sequence)}::bigint[],
      ${replays.map(({ digest }) => digest)}::bytea[]
    ) as replay (dead_letter_id, device_key, session_id, sequence, digest)
    join batches as stored using (device_key, session_id, sequence, digest)
    where dead_letter.id = replay.dead_letter_id and dead_letter.replayed_at is null
      and (dead_letter.idx is null or stored.rejected_count = 0)`.execute(db);
}
