import { setTimeout as sleep } from "node:timers/promises";
import { Redis } from "ioredis";
import { type BatchPool, createBatchPool } from "#bench/path/batch-pool.ts";
import { type BenchSystem, type PerPart, parts, startBenchSystem } from "#bench/path/bench-system.ts";
import { startLoad, startPeer } from "#bench/path/fork.ts";
import type { LoadJob, LoadResult } from "#bench/path/load.ts";
import { endToEnd, fleet } from "#bench/path/measure.ts";
import { compareIds, readGroups } from "#stream/group-info.ts";
import { allShards, groupName, streamKey } from "#stream/keys.ts";

export type Load = Awaited<ReturnType<typeof startLoad>>;

/**
 * Batches of a pool by their records: enough that the last flush, which waits for more to come, does not count, and no
 * more than a second or a few of work.
 */
const poolBatches: Readonly<Record<number, number>> = { 1: 30_000, 10: 20_000, 100: 15_000 };
/** The environment of the servers; see server/config.ts. */
const shards = 4;

/** The systems that rows share, each started when the first row needs it. */
export class RatioBench implements AsyncDisposable {
  readonly #scale: number;
  readonly #env: Readonly<Record<string, string>>;
  readonly #stack = new AsyncDisposableStack();
  readonly #loads = new Map<number, Promise<Load>>();
  readonly #pools = new Map<number, BatchPool>();
  readonly #peers = new Map<string, ReturnType<typeof startPeer>>();
  #system: Promise<BenchSystem> | undefined;
  #redis: Redis | undefined;
  #consumerRuns = true;

  /** `scale` multiplies the batches; the programs get `env`, to profile them. */
  constructor(scale: number, env: Readonly<Record<string, string>> = {}) {
    this.#scale = scale;
    this.#env = env;
  }

  /** The number of batches with this many records to send. */
  batches(recordsPerBatch: number): number {
    return this.scaled(poolBatches[recordsPerBatch] ?? 1_000);
  }

  scaled(count: number): number {
    return Math.ceil(count * this.#scale);
  }

  /** The whole system with its consumer running, or not. */
  async system({ consumer }: { consumer: boolean }): Promise<BenchSystem> {
    this.#system ??= this.#startSystem();
    const bench = await this.#system;
    if (consumer !== this.#consumerRuns) {
      await (consumer ? bench.system.consumer.start() : bench.system.consumer.stop());
      this.#consumerRuns = consumer;
    }
    return bench;
  }

  load(recordsPerBatch: number): Promise<Load> {
    const load =
      this.#loads.get(recordsPerBatch) ??
      startLoad(this.batches(recordsPerBatch), recordsPerBatch).then((load) => this.#stack.use(load));
    this.#loads.set(recordsPerBatch, load);
    return load;
  }

  /** The same records as those of the load. */
  pool(recordsPerBatch: number): BatchPool {
    const pool =
      this.#pools.get(recordsPerBatch) ?? createBatchPool(this.batches(recordsPerBatch), recordsPerBatch);
    this.#pools.set(recordsPerBatch, pool);
    return pool;
  }

  /** The echo server, or our gRPC server without the append. */
  peer(...which: Parameters<typeof startPeer>): ReturnType<typeof startPeer> {
    const key = which.join();
    const peer = this.#peers.get(key) ?? startPeer(...which).then((peer) => this.#stack.use(peer));
    this.#peers.set(key, peer);
    return peer;
  }

  /** A connection to the system's Redis. */
  async redis(): Promise<Redis> {
    const { system } = await this.system({ consumer: this.#consumerRuns });
    if (this.#redis) return this.#redis;
    const redis = new Redis(system.redis.url, { maxRetriesPerRequest: 0 });
    redis.on("error", (error: Error) => process.stderr.write(`redis: ${error.message}\n`));
    this.#stack.defer(() => redis.disconnect());
    this.#redis = redis;
    return redis;
  }

  /** Sends without a consumer, then empties Redis so that it does not fill up. */
  async ingestOnly(
    recordsPerBatch: number,
    job: Partial<LoadJob> & Pick<LoadJob, "target" | "rpc">,
  ): Promise<LoadResult & { readonly cpu: PerPart }> {
    const bench = await this.system({ consumer: false });
    const load = await this.load(recordsPerBatch);
    const batches = job.batches ?? this.batches(recordsPerBatch);
    const before = await bench.cpu();
    const result = await load.run({ ...fleet, batches, ...job });
    const after = await bench.cpu();
    await this.emptyStreams();
    return { ...result, cpu: perMillion(before, after, batches * recordsPerBatch) };
  }

  /** Only while no consumer runs. */
  async emptyStreams(): Promise<void> {
    const redis = await this.redis();
    for (const shard of allShards(shards)) {
      await redis.xtrim(streamKey(shard), "MAXLEN", 0);
      await redis.xgroup("SETID", streamKey(shard), groupName, "$");
    }
  }

  /** Waits until the consumer has acknowledged every entry. */
  async untilDrained(): Promise<void> {
    const redis = await this.redis();
    const giveUpAt = performance.now() + 60_000;
    for (const shard of allShards(shards)) {
      for (;;) {
        const [group] = await readGroups(redis, shard);
        const [last] = await redis.xrevrange(streamKey(shard), "+", "-", "COUNT", 1);
        if (!last || (group?.pending === 0 && compareIds(group.lastDeliveredId, last[0]) >= 0)) break;
        if (performance.now() > giveUpAt) throw new Error(`shard ${shard} is not drained after 60 s`);
        await sleep(5);
      }
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#stack.disposeAsync();
  }

  async #startSystem(): Promise<BenchSystem> {
    process.stderr.write("starting the system …\n");
    const bench = this.#stack.use(await startBenchSystem({ programEnv: this.#env }));
    // Every process reaches the speed that it has for the rest of its life; not counted.
    const size = { batches: this.batches(100), recordsPerBatch: 100 };
    for (let warmUp = 0; warmUp < 2; warmUp += 1) await endToEnd(bench, await this.load(100), size);
    return bench;
  }
}

/** CPU seconds per million records. */
export function perMillion(before: PerPart, after: PerPart, records: number): PerPart {
  const millions = records / 1e6;
  return Object.fromEntries(parts.map((part) => [part, (after[part] - before[part]) / millions])) as PerPart;
}
