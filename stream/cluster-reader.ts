import { setTimeout as sleep } from "node:timers/promises";
import type { StreamRedis } from "./connection.ts";
import { type Deliveries, noDeliveries } from "./delivery.ts";
import { type ReaderOptions, StreamReader } from "./reader.ts";

/** The pause between rounds while there are no entries: the longest that a batch waits for the next one. */
const pauseMs = 20;

/**
 * Reads shards on different nodes of a Redis Cluster, which no single command can: each with a reader of its own that
 * does not wait. An unreachable node does not stop the other shards. The reader of its shard is replaced, because a lost
 * reply may have delivered entries: the new reader starts with the pending ones.
 */
export class ClusterReader {
  readonly #newReader: (shard: number) => StreamReader;
  readonly #readers: Map<number, StreamReader>;

  constructor(redis: StreamRedis, options: Omit<ReaderOptions, "waits">) {
    const bytesMax = options.bytesMax / options.shards.length;
    this.#newReader = (shard) =>
      new StreamReader(redis, { ...options, bytesMax, shards: [shard], waits: false });
    this.#readers = new Map(options.shards.map((shard) => [shard, this.#newReader(shard)]));
  }

  /** Returns the available entries, or none after a short pause. Throws when no shard can be read. */
  async read(): Promise<Deliveries> {
    const all = noDeliveries();
    const failures: unknown[] = [];
    await Promise.all(
      [...this.#readers].map(async ([shard, reader]) => {
        try {
          const { entries, malformed, deleted } = await reader.read();
          all.entries.push(...entries);
          all.malformed.push(...malformed);
          all.deleted.push(...deleted);
        } catch (error) {
          failures.push(error);
          this.#readers.set(shard, this.#newReader(shard));
        }
      }),
    );
    if (failures.length === this.#readers.size) throw failures[0];
    if (all.entries.length + all.malformed.length + all.deleted.length === 0) await sleep(pauseMs);
    return all;
  }
}
