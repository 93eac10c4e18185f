import type { StreamRedis } from "./connection.ts";
import { acknowledgedBefore, compareIds, readGroups } from "./group-info.ts";
import { readIdRange } from "./id-range.ts";
import { groupName, streamKey } from "./keys.ts";

/** Stored entries of a shard that stay for live tail: the last `windowMs`, and at most about `bytesMax`. */
export interface TailWindow {
  readonly windowMs: number;
  readonly bytesMax: number;
}

/**
 * Removes the entries that every group has acknowledged from the beginning of one shard's stream, except those that stay
 * for live tail. Returns how many were removed; call again later for the rest.
 *
 * Everything before the lowest of these ids goes: the one that each group has acknowledged, and the start of the tail
 * window. Without the consumers' group nothing is removed.
 */
export async function trim(redis: StreamRedis, shard: number, tail: TailWindow): Promise<number> {
  const groups = await readGroups(redis, shard);
  if (!groups.some((group) => group.name === groupName)) return 0;
  const { nowMs, firstMs, bytes } = await readIdRange(redis, shard);
  // Assumes the same number of bytes in every second; the next trim corrects the error.
  const bytesWindowMs = bytes > tail.bytesMax ? ((nowMs - firstMs) * tail.bytesMax) / bytes : Infinity;
  const windowMs = Math.min(tail.windowMs, bytesWindowMs);
  const cuts = [`${Math.max(0, Math.floor(nowMs - windowMs))}-0`];
  for (const group of groups) cuts.push(await acknowledgedBefore(redis, shard, group));
  const cut = cuts.reduce((least, id) => (compareIds(id, least) < 0 ? id : least));
  return redis.xtrim(streamKey(shard), "MINID", "~", cut, "LIMIT", entriesPerTrimMax);
}

/** Redis is blocked while it frees; with `~` it frees whole nodes, which hold up to 100 small entries. */
const entriesPerTrimMax = 10_000;
