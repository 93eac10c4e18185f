import type { Redis } from "ioredis";
import type { EntryPosition } from "./delivery.ts";
import { groupName, streamKey } from "./keys.ts";

/**
 * Tells Redis that these are stored; only ever after COMMIT was read. Throws when Redis does not confirm: they are
 * then delivered again, now or later, and the ledger of batches recognises them. One command per shard.
 */
export async function acknowledge(
  redis: Pick<Redis, "xack">,
  places: readonly EntryPosition[],
): Promise<void> {
  const byShard = Map.groupBy(places, (place) => place.shard);
  await Promise.all(
    [...byShard].map(([shard, own]) =>
      redis.xack(streamKey(shard), groupName, ...own.map((place) => place.id)),
    ),
  );
}
