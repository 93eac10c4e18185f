import { setTimeout as sleep } from "node:timers/promises";
import type { StreamRedis } from "./connection.ts";
import { type Deliveries, noDeliveries } from "./delivery.ts";
import { type ReaderOptions, StreamReader } from "./reader.ts";

/** Between two rounds when the first one brought nothing: what the smallest batch waits at most. */
const pauseMs = 20;

/**
 * Reads shards that lie on different nodes of a Redis Cluster, which no single command can: each by a reader of its
 * own that does not wait. A shard whose node is unreachable stops no other. Its reader is replaced, since an answer that never
 * arrived may have brought entries: the new one begins with what is pending.
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

  /** What is there, or nothing after a short pause. Throws when no shard can be read. */
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
