import { type Kysely, sql } from "kysely";
import type { Database } from "#postgres/tables.ts";
import type { ReceivedBatch } from "../received-batch.ts";

/**
 * Marks the dead letters that came back with `batches`, new ones and such as the ledger had already. A record counts
 * only if PostgreSQL took it this time: otherwise there is another letter of it now.
 */
export async function markReplayed(
  db: Kysely<Database>,
  batches: readonly ReceivedBatch[],
  deviceKeys: ReadonlyMap<string, number>,
): Promise<void> {
  const replays = batches.flatMap(({ entry }) => (entry.deadLetterId === undefined ? [] : [entry]));
  if (replays.length === 0) return;
  await sql`
    update dead_letters as letter set replayed_at = now(), replayed_batch = stored.id
    from unnest(
      ${replays.map(({ deadLetterId: letterId }) => letterId)}::bigint[],
      ${replays.map(({ deviceId }) => deviceKeys.get(deviceId))}::int[],
      ${replays.map(({ sessionId }) => sessionId)}::text[],
      ${replays.map(({ sequence }) => sequence)}::bigint[],
      ${replays.map(({ digest }) => digest)}::bytea[]
    ) as replay (letter_id, device_key, session_id, sequence, digest)
    join batches as stored using (device_key, session_id, sequence, digest)
    where letter.id = replay.letter_id and letter.replayed_at is null
      and (letter.idx is null or stored.rejected_count = 0)`.execute(db);
}
