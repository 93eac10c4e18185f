import type { Redis } from "ioredis";
import { streamKey } from "./keys.ts";

/** One consumer group of a shard, from XINFO GROUPS. */
export interface GroupInfo {
  readonly name: string;
  readonly pending: number;
  readonly lastDeliveredId: string;
  /** Redis's own count of undelivered entries, which can be wrong: see backlog.ts. */
  readonly lag: number | undefined;
}

/** The groups of one shard; none while there is no stream. */
export async function readGroups(redis: Pick<Redis, "call">, shard: number): Promise<GroupInfo[]> {
  let reply: unknown[][];
  try {
    reply = (await redis.call("xinfo", "GROUPS", streamKey(shard))) as unknown[][];
  } catch (error) {
    if (error instanceof Error && error.message.startsWith("ERR no such key")) return [];
    throw error;
  }
  return reply.map((pairs) => {
    const value = (name: string) => fieldValue(pairs, name);
    const lag = value("lag");
    return {
      name: String(value("name")),
      pending: Number(value("pending")),
      lastDeliveredId: String(value("last-delivered-id")),
      lag: typeof lag === "number" ? lag : undefined,
    };
  });
}

/**
 * The id before which this group has acknowledged all entries. Pass a group that was read before this call: an entry
 * delivered in between then has a higher id than its last delivered one.
 */
export async function acknowledgedBefore(
  redis: Pick<Redis, "xpending">,
  shard: number,
  { name, lastDeliveredId }: GroupInfo,
): Promise<string> {
  const [, oldestPending] = (await redis.xpending(streamKey(shard), name)) as [number, string | null];
  return oldestPending !== null && compareIds(oldestPending, lastDeliveredId) < 0
    ? oldestPending
    : lastDeliveredId;
}

/** Below 0 when `a` was added before `b`. */
export function compareIds(a: string, b: string): number {
  const [aMs = 0, aCounter = 0] = a.split("-").map(Number);
  const [bMs = 0, bCounter = 0] = b.split("-").map(Number);
  return aMs - bMs || aCounter - bCounter;
}

/** When an entry was added, in milliseconds since 1970 by Redis's clock. */
export function idMilliseconds(id: string): number {
  return Number(id.split("-", 1)[0]);
}

/** The clock of the Redis that holds the shard, which makes the ids. */
export async function redisTimeMs(redis: Pick<Redis, "eval_ro">, shard: number): Promise<number> {
  return timeMs((await redis.eval_ro("return redis.call('TIME')", 1, streamKey(shard))) as RedisTime);
}

/** The reply of TIME. */
export type RedisTime = readonly [seconds: string, micros: string];

/** In milliseconds since 1970. */
export function timeMs([seconds, micros]: RedisTime): number {
  return Number(seconds) * 1000 + Math.floor(Number(micros) / 1000);
}

/** A value in the reply of XINFO: name, value, name, value, … */
export function fieldValue(pairs: readonly unknown[], name: string): unknown {
  return pairs[pairs.indexOf(name) + 1];
}
