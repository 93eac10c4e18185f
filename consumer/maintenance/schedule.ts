import { setTimeout as sleep } from "node:timers/promises";
import type { Kysely } from "kysely";
import { type Backoff, backoffMs } from "#lib/backoff.ts";
import type { Logger } from "#lib/logger.ts";
import type { Readiness } from "#lib/readiness.ts";
import { ensurePartitions } from "#postgres/partitions.ts";
import type { Database } from "#postgres/tables.ts";
import type { StreamRedis } from "#stream/connection.ts";
import { readLag } from "#stream/lag.ts";
import { memoryOf } from "#stream/memory.ts";
import type { Reclaimer } from "#stream/reclaim.ts";
import { trim } from "#stream/trim.ts";
import type { Consumer } from "../consume/consumer.ts";
import type { ConsumerMetrics } from "../metrics.ts";
import { measureDatabase, measureMemory } from "./gauges.ts";

export interface HousekeepingParts {
  readonly db: Kysely<Database>;
  readonly redis: StreamRedis;
  readonly shards: readonly number[];
  readonly tailWindowMs: number;
  readonly consumer: Pick<Consumer, "take" | "room">;
  readonly reclaimer: Reclaimer;
  readonly metrics: ConsumerMetrics;
  readonly readiness: Readiness;
  readonly logger: Logger;
  readonly signal: AbortSignal;
}

const backoff: Backoff = { baseMs: 200, capMs: 10_000 };
const partitionsIntervalMs = 3_600_000;
const reclaimIntervalMs = 5_000;
const trimIntervalMs = 2_000;
const lagIntervalMs = 5_000;
/** Rarer than the others: it reads every row of devices. */
const databaseIntervalMs = 120_000;

/** Of Redis' memory, for what is stored already. */
const tailShareMax = 1 / 8;

/** Each trim removes a bounded number of entries; so many of them follow each other in one shard. */
const trimsPerRoundMax = 50;

/** Keeps partitions ahead until the signal. Resolves when they exist for the first time, or on the signal. */
export async function keepPartitions(
  parts: Pick<HousekeepingParts, "db" | "readiness" | "logger" | "signal">,
): Promise<void> {
  const { db, readiness, signal } = parts;
  const created = Promise.withResolvers<void>();
  repeat(parts, "create partitions", partitionsIntervalMs, async () => {
    try {
      await ensurePartitions(db);
    } catch (error) {
      // Later failures leave a week to be mended in, and the default partition after that.
      readiness.notReady("partitions", (error as Error).message);
      throw error;
    }
    readiness.ready("partitions");
    created.resolve();
  });
  signal.addEventListener("abort", () => created.resolve(), { once: true });
  await created.promise;
}

/**
 * What else has to be done now and then beside the flushes, until the signal: entries of dead consumers taken over,
 * stored entries removed from the stream, lag and sizes measured. What fails is tried again. The groups must exist.
 */
export function startHousekeeping(parts: HousekeepingParts): void {
  repeat(parts, "take over entries", reclaimIntervalMs, () => reclaim(parts));
  repeat(parts, "trim the stream", trimIntervalMs, () => trimAll(parts));
  repeat(parts, "measure the lag", lagIntervalMs, () => measureLag(parts));
  repeat(parts, "measure Redis' memory", lagIntervalMs, () => measureMemory(parts.redis, parts.metrics));
  repeat(parts, "measure the database", databaseIntervalMs, () => measureDatabase(parts.db, parts.metrics));
}

/** Does `task` every `intervalMs` until the signal, sooner after a failure. */
export function repeat(
  { signal, logger }: Pick<HousekeepingParts, "signal" | "logger">,
  what: string,
  intervalMs: number,
  task: () => Promise<void>,
): void {
  const loop = async () => {
    for (let failures = 0; !signal.aborted; ) {
      try {
        await task();
        failures = 0;
      } catch (error) {
        failures += 1;
        logger.warn({ err: error, failures }, `could not ${what}, will try again`);
      }
      const waitMs = failures === 0 ? intervalMs : Math.min(intervalMs, backoffMs(failures, backoff));
      // The signal ends the wait by a throw; the loop's condition is what reacts to it.
      await sleep(waitMs, undefined, { signal, ref: false }).catch(() => undefined);
    }
  };
  void loop();
}

/** Once around every shard's pending list. */
export async function reclaim(
  parts: Pick<HousekeepingParts, "reclaimer" | "consumer" | "metrics" | "signal">,
): Promise<void> {
  const { reclaimer, consumer, metrics, signal } = parts;
  do {
    await consumer.room();
    const deliveries = await reclaimer.reclaim();
    metrics.reclaimed.inc(deliveries.entries.length);
    consumer.take(deliveries);
  } while (!reclaimer.isAtStart && !signal.aborted);
}

/**
 * What is stored gives way to what is not: live tail has its window as long as that is within a small share of Redis'
 * memory. It is also what every rewrite of the append-only file copies.
 */
async function trimAll({ redis, shards, tailWindowMs, metrics, signal }: HousekeepingParts): Promise<void> {
  const { bytesMax } = await memoryOf(redis);
  const tail = {
    windowMs: tailWindowMs,
    bytesMax: bytesMax === 0 ? Number.POSITIVE_INFINITY : (bytesMax * tailShareMax) / shards.length,
  };
  for (const shard of shards) {
    for (let round = 0; round < trimsPerRoundMax && !signal.aborted; round++) {
      const trimmed = await trim(redis, shard, tail);
      metrics.trimmed.inc(trimmed);
      if (trimmed === 0) break;
    }
  }
}

export async function measureLag({
  redis,
  shards,
  metrics,
}: Pick<HousekeepingParts, "redis" | "shards" | "metrics">): Promise<void> {
  for (const { shard, undelivered, pendingEntries, oldestAgeMs } of await readLag(redis, shards, "repair")) {
    metrics.backlog.set({ shard }, undelivered.atMost);
    metrics.pending.set({ shard }, pendingEntries);
    metrics.oldest.set({ shard }, oldestAgeMs / 1000);
  }
}
