import type { StreamRedis } from "./connection.ts";
import { acknowledgedBefore, compareIds, readGroups, redisTimeMs } from "./group-info.ts";
import { groupName, streamKey } from "./keys.ts";

/**
 * Removes what every group has acknowledged from the beginning of one shard's stream, keeping at least the last
 * `tailWindowMs` for live tail. Returns how many entries went; call again later for the rest.
 *
 * The cut is the least of what each group has acknowledged and now − window. Without the consumers' group nothing is
 * removed.
 */
export async function trim(redis: StreamRedis, shard: number, tailWindowMs: number): Promise<number> {
  const groups = await readGroups(redis, shard);
  if (!groups.some((group) => group.name === groupName)) return 0;
  const nowMs = await redisTimeMs(redis, shard);
  const cuts = [`${Math.max(0, nowMs - tailWindowMs)}-0`];
  for (const group of groups) cuts.push(await acknowledgedBefore(redis, shard, group));
  const cut = cuts.reduce((least, id) => (compareIds(id, least) < 0 ? id : least));
  return redis.xtrim(streamKey(shard), "MINID", "~", cut, "LIMIT", entriesPerTrimMax);
}

/** Redis stands still while it frees; with `~` it frees whole nodes, which hold up to 100 small entries. */
const entriesPerTrimMax = 10_000;
