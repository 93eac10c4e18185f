import type { StreamRedis } from "./connection.ts";
import { millisOf, readGroups, redisTimeMs } from "./group-info.ts";
import { groupName, streamKey } from "./keys.ts";

/** How far the consumers are behind in one shard. Undefined: not known, which is never the same as 0. */
export interface ShardLag {
  readonly shard: number;
  /** Not handed to any consumer yet. */
  readonly undeliveredEntries: number | undefined;
  /** Handed to one, and not acknowledged. */
  readonly pendingEntries: number;
  /** Since the oldest of both was added; 0 when there is none. */
  readonly oldestAgeMs: number | undefined;
}

/** Asks every shard; throws when Redis is away. */
export function readLag(redis: StreamRedis, shards: readonly number[]): Promise<ShardLag[]> {
  return Promise.all(shards.map((shard) => readShardLag(redis, shard)));
}

async function readShardLag(redis: StreamRedis, shard: number): Promise<ShardLag> {
  const key = streamKey(shard);
  const group = (await readGroups(redis, shard)).find(({ name }) => name === groupName);
  const [, oldestPending] = group
    ? ((await redis.xpending(key, groupName)) as [number, string | null])
    : [0, null];
  // Entries are delivered in the order of their ids: whatever is pending is older than what is undelivered.
  const oldest = oldestPending ?? (await firstIdAfter(redis, key, group?.lastDeliveredId ?? "0-0"));
  const nowMs = await redisTimeMs(redis, shard);
  return {
    shard,
    undeliveredEntries: group ? group.undelivered : await redis.xlen(key),
    pendingEntries: group?.pending ?? 0,
    oldestAgeMs: oldest === undefined ? 0 : Math.max(0, nowMs - millisOf(oldest)),
  };
}

async function firstIdAfter(redis: StreamRedis, key: string, id: string): Promise<string | undefined> {
  const [first] = await redis.xrangeBuffer(key, `(${id}`, "+", "COUNT", 1);
  return first?.[0].toString("latin1");
}
