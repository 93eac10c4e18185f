import type { StreamRedis } from "./connection.ts";
import { compareIds, readGroups, redisTimeMs } from "./group-info.ts";
import { groupName, streamKey } from "./keys.ts";

/**
 * Removes what every group has acknowledged from the beginning of one shard's stream, keeping at least the last
 * `tailWindowMs` for live tail. Returns how many entries went; call again later for the rest.
 *
 * The cut is the least of the oldest pending id, the last delivered id and now − window. The last delivered id is read
 * before the pending list: an entry delivered between the two questions is above it, and so above the cut. Without
 * the consumers' group nothing is removed.
 */
export async function trim(redis: StreamRedis, shard: number, tailWindowMs: number): Promise<number> {
  const key = streamKey(shard);
  const groups = await readGroups(redis, shard);
  if (!groups.some((group) => group.name === groupName)) return 0;
  const nowMs = await redisTimeMs(redis, shard);
  const cuts = [`${Math.max(0, nowMs - tailWindowMs)}-0`];
  for (const group of groups) {
    cuts.push(group.lastDeliveredId);
    const [, oldestPending] = (await redis.xpending(key, group.name)) as [number, string | null];
    if (oldestPending !== null) cuts.push(oldestPending);
  }
  const cut = cuts.reduce((least, id) => (compareIds(id, least) < 0 ? id : least));
  return redis.xtrim(key, "MINID", "~", cut, "LIMIT", entriesPerTrimMax);
}

/** Redis stands still while it frees; with `~` it frees whole nodes, which hold up to 100 small entries. */
const entriesPerTrimMax = 10_000;
