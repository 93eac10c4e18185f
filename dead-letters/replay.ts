import { setTimeout as sleep } from "node:timers/promises";
import type { Kysely } from "kysely";
import type { Database } from "#postgres/tables.ts";
import type { StreamRedis } from "#stream/connection.ts";
import { encodeEntry } from "#stream/entry.ts";
import { streamKey, toShard } from "#stream/keys.ts";
import { findDeadLetters } from "./find-dead-letters.ts";
import type { Plan } from "./plan-replay.ts";

export interface ReplayDependencies {
  readonly db: Kysely<Database>;
  readonly redis: StreamRedis;
  readonly shards: number;
  /** How long to wait for consumers to store the appended entries. */
  readonly waitMs: number;
}

/** Appends the entries one by one and waits until consumers have stored them. Returns the stored ones. */
export async function replay(
  { db, redis, shards, waitMs }: ReplayDependencies,
  plans: readonly Plan[],
): Promise<ReadonlyMap<bigint, bigint>> {
  const ids: bigint[] = [];
  for (const plan of plans) {
    if ("impossible" in plan) continue;
    const key = streamKey(toShard(plan.entry.deviceId, shards));
    const added = await redis.call("XADD", key, "NOMKSTREAM", "*", ...encodeEntry(plan.entry));
    if (added === null) throw new Error(`${key} does not exist: does STREAM_SHARDS match the servers?`);
    ids.push(plan.deadLetter.id);
  }
  const giveUpAt = performance.now() + waitMs;
  for (;;) {
    const stored = ids.length === 0 ? [] : await findDeadLetters(db, { ids, replayed: true }, ids.length);
    if (stored.length === ids.length || performance.now() > giveUpAt) {
      return new Map(stored.map(({ id, replayedBatch }) => [id, replayedBatch!]));
    }
    await sleep(pollMs);
  }
}

const pollMs = 100;
