import { type Backlog, type BacklogAccess, readShardBacklog } from "./backlog.ts";
import type { StreamRedis } from "./connection.ts";
import { idMilliseconds, redisTimeMs } from "./group-info.ts";
import { groupName, streamKey } from "./keys.ts";

/** How far the consumers are behind in one shard. */
export interface ShardLag {
  readonly shard: number;
  /** Entries that no consumer has read yet. */
  readonly undelivered: Backlog;
  /** Entries that a consumer has read and not acknowledged. */
  readonly pendingEntries: number;
  /** Age of the oldest of both; 0 when there is none. */
  readonly oldestAgeMs: number;
}

/** Reads the lag of every shard. Throws when Redis is unreachable. */
export function readLag(
  redis: StreamRedis,
  shards: readonly number[],
  access: Exclude<BacklogAccess, "bounds"> = "count",
): Promise<ShardLag[]> {
  return Promise.all(shards.map((shard) => readShardLag(redis, shard, access)));
}

async function readShardLag(redis: StreamRedis, shard: number, access: BacklogAccess): Promise<ShardLag> {
  const key = streamKey(shard);
  const { undelivered, pending, lastDeliveredId } = await readShardBacklog(redis, shard, access);
  const [, oldestPending] =
    pending > 0 ? ((await redis.xpending(key, groupName)) as [number, string | null]) : [0, null];
  // Entries are delivered in id order: pending ones are older than undelivered ones.
  const oldest = oldestPending ?? (await firstIdAfter(redis, key, lastDeliveredId));
  const nowMs = await redisTimeMs(redis, shard);
  return {
    shard,
    undelivered,
    pendingEntries: pending,
    oldestAgeMs: oldest === undefined ? 0 : Math.max(0, nowMs - idMilliseconds(oldest)),
  };
}

async function firstIdAfter(redis: StreamRedis, key: string, id: string): Promise<string | undefined> {
  const [first] = await redis.xrangeBuffer(key, `(${id}`, "+", "COUNT", 1);
  return first?.[0].toString("latin1");
}
