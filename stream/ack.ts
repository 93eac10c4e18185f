import type { Redis } from "ioredis";
import type { EntryPosition } from "./delivery.ts";
import { groupName, streamKey } from "./keys.ts";

/**
 * Acknowledges stored entries, with one command per shard; call only after the COMMIT succeeded. Throws when Redis does
 * not confirm: the entries are then delivered again, and the ledger recognises their batches.
 */
export async function acknowledge(
  redis: Pick<Redis, "xack">,
  positions: readonly EntryPosition[],
): Promise<void> {
  const byShard = Map.groupBy(positions, ({ shard }) => shard);
  await Promise.all(
    [...byShard].map(([shard, own]) => redis.xack(streamKey(shard), groupName, ...own.map(({ id }) => id))),
  );
}
