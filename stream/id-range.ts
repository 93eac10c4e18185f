import type { Redis } from "ioredis";
import { idMilliseconds, type RedisTime, timeMs } from "./group-info.ts";
import { streamKey } from "./keys.ts";

/** The time range and the memory of the entries of a shard. */
export interface IdRange {
  /** The clock of the Redis that holds the shard, which makes the ids: milliseconds since 1970. */
  readonly nowMs: number;
  /** When the oldest entry was added; now, when there is none. */
  readonly firstMs: number;
  /** Memory of all entries, estimated from a sample. */
  readonly bytes: number;
}

export async function readIdRange(redis: Pick<Redis, "eval_ro">, shard: number): Promise<IdRange> {
  const reply = await redis.eval_ro(script, 1, streamKey(shard));
  const [time, firstId, bytes] = reply as [RedisTime, string | null, number];
  const nowMs = timeMs(time);
  return { nowMs, firstMs: firstId === null ? nowMs : idMilliseconds(firstId), bytes };
}

/** A reply ends at its first nil; `false` becomes null. */
const script = `
  local first = redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', 1)[1]
  if not first then return { redis.call('TIME'), false, 0 } end
  return { redis.call('TIME'), first[1], redis.call('MEMORY', 'USAGE', KEYS[1]) }`;
