import type { StreamRedis } from "./connection.ts";
import { acknowledgedBefore, compareIds, readGroups } from "./group-info.ts";
import { readIdRange } from "./id-range.ts";
import { groupName, streamKey } from "./keys.ts";

/** What of a shard stays for live tail after it is stored: the last `windowMs`, and of those about `bytesMax`. */
export interface TailWindow {
  readonly windowMs: number;
  readonly bytesMax: number;
}

/**
 * Removes what every group has acknowledged from the beginning of one shard's stream, except what stays for live tail.
 * Returns how many entries went; call again later for the rest.
 *
 * The cut is the least of what each group has acknowledged and the beginning of the tail window. Without the consumers'
 * group nothing is removed.
 */
export async function trim(redis: StreamRedis, shard: number, tail: TailWindow): Promise<number> {
  const groups = await readGroups(redis, shard);
  if (!groups.some((group) => group.name === groupName)) return 0;
  const { nowMs, firstMs, bytes } = await readIdRange(redis, shard);
  // As if every second of it had the same number of bytes; the next trim sees how far that was from true.
  const bytesWindowMs = bytes > tail.bytesMax ? ((nowMs - firstMs) * tail.bytesMax) / bytes : Infinity;
  const windowMs = Math.min(tail.windowMs, bytesWindowMs);
  const cuts = [`${Math.max(0, Math.floor(nowMs - windowMs))}-0`];
  for (const group of groups) cuts.push(await acknowledgedBefore(redis, shard, group));
  const cut = cuts.reduce((least, id) => (compareIds(id, least) < 0 ? id : least));
  return redis.xtrim(streamKey(shard), "MINID", "~", cut, "LIMIT", entriesPerTrimMax);
}

/** Redis stands still while it frees; with `~` it frees whole nodes, which hold up to 100 small entries. */
const entriesPerTrimMax = 10_000;
