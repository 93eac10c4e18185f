import type { StreamRedis } from "#stream/connection.ts";
import { readLag } from "#stream/lag.ts";
import { readMemory } from "#stream/memory.ts";
import { Reclaimer } from "#stream/reclaim.ts";
import { trim } from "#stream/trim.ts";
import type { Consumer } from "../consume/consumer.ts";
import type { ConsumerMetrics } from "../metrics.ts";
import { measureMemory } from "./gauges.ts";
import { repeat, type Schedule } from "./schedule.ts";

export interface StreamMaintenanceOptions extends Schedule {
  readonly redis: StreamRedis;
  readonly shards: readonly number[];
  readonly consumer: Pick<Consumer, "receive" | "waitForCapacity">;
  readonly consumerName: string;
  /** Entries that another consumer has held for this long are taken over. */
  readonly reclaimIdleMs: number;
  /** Stored entries stay this long in the stream, for live tail. */
  readonly tailWindowMs: number;
  readonly metrics: ConsumerMetrics;
}

const reclaimIntervalMs = 5_000;
const reclaimedPerCallMax = 100;
const trimIntervalMs = 2_000;
const lagIntervalMs = 5_000;

/** The share of Redis' memory that stored entries may use. */
const tailShareMax = 1 / 8;

/** Each trim removes a bounded number of entries: this many calls per shard and round. */
const trimsPerRoundMax = 50;

/** Takes over entries of dead consumers, trims stored entries, and measures lag and memory. The groups must exist. */
export function startStreamMaintenance(options: StreamMaintenanceOptions): void {
  const { redis, shards, metrics } = options;
  const reclaimer = new Reclaimer(redis, {
    shards,
    consumer: options.consumerName,
    idleMinMs: options.reclaimIdleMs,
    countMax: reclaimedPerCallMax,
  });
  repeat(options, "reclaim entries", reclaimIntervalMs, () => reclaim({ ...options, reclaimer }));
  repeat(options, "trim the stream", trimIntervalMs, () => trimShards(options));
  repeat(options, "measure the lag", lagIntervalMs, () => measureLag(options));
  repeat(options, "measure Redis' memory", lagIntervalMs, () => measureMemory(redis, metrics));
}

/** Scans the pending list of every shard once. */
export async function reclaim({
  reclaimer,
  consumer,
  metrics,
  signal,
}: Pick<StreamMaintenanceOptions, "consumer" | "metrics" | "signal"> & {
  reclaimer: Reclaimer;
}): Promise<void> {
  do {
    await consumer.waitForCapacity();
    const deliveries = await reclaimer.reclaim();
    metrics.reclaimed.inc(deliveries.entries.length);
    consumer.receive(deliveries);
  } while (!reclaimer.isAtStart && !signal.aborted);
}

/**
 * Trims stored entries: live tail keeps its window only while that fits a small share of Redis' memory. Every rewrite of
 * the append-only file copies them, too.
 */
async function trimShards(options: StreamMaintenanceOptions): Promise<void> {
  const { redis, shards, tailWindowMs, metrics, signal } = options;
  const { bytesMax } = await readMemory(redis);
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
}: Pick<StreamMaintenanceOptions, "redis" | "shards" | "metrics">): Promise<void> {
  for (const { shard, undelivered, pendingEntries, oldestAgeMs } of await readLag(redis, shards, "repair")) {
    metrics.backlog.set({ shard }, undelivered.atMost);
    metrics.pending.set({ shard }, pendingEntries);
    metrics.oldest.set({ shard }, oldestAgeMs / 1000);
  }
}
