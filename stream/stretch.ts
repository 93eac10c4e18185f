import type { Redis } from "ioredis";
import { millisOf } from "./group-info.ts";
import { streamKey } from "./keys.ts";

/** From when to when the entries of a shard are, and how much they take. */
export interface Stretch {
  /** The clock of the Redis that holds the shard, by which ids are made: milliseconds since 1970. */
  readonly nowMs: number;
  /** When the first entry that is still there was added; now, when there is none. */
  readonly firstMs: number;
  /** Memory of all entries, from a sample of them. */
  readonly bytes: number;
}

export async function readStretch(redis: Pick<Redis, "eval">, shard: number): Promise<Stretch> {
  const reply = (await redis.eval(script, 1, streamKey(shard))) as [string, string, string | null, number];
  const [seconds, micros, firstId, bytes] = reply;
  const nowMs = Number(seconds) * 1000 + Math.floor(Number(micros) / 1000);
  return { nowMs, firstMs: firstId === null ? nowMs : millisOf(firstId), bytes };
}

const script = `
  local time = redis.call('TIME')
  local first = redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', 1)[1]
  return { time[1], time[2], first and first[1], first and redis.call('MEMORY', 'USAGE', KEYS[1]) or 0 }`;
