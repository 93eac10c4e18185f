import type { Redis } from "ioredis";
import { blockMs } from "./connection.ts";
import { type Deliveries, noDeliveries, type RawEntry, sortEntries } from "./delivery.ts";
import { ensureGroups, isReply } from "./groups.ts";
import { groupName, streamKey } from "./keys.ts";
import { ReadSize } from "./read-size.ts";

export interface ReaderOptions {
  readonly shards: readonly number[];
  /** This consumer's name in the group; must be unique, or two consumers share one pending list. */
  readonly consumer: string;
  /** Entries per shard and read, at most. */
  readonly countMax: number;
  /** Approximate bytes per read, estimated from the last entries. */
  readonly bytesMax: number;
  /** True (the default): a read waits up to `blockMs` for new entries. */
  readonly waits?: boolean;
}

/**
 * Reads the batches of several shards for one member of the group, over a connection of its own.
 *
 * A new reader first reads the entries that were delivered before and not acknowledged: per shard it walks its pending
 * list from `0` until that is empty, and only then reads new entries (`>`). Redis waits for new entries; the connection
 * (`readConnection`) is destroyed when Redis stays silent for longer than that.
 */
export class StreamReader {
  readonly #redis: Pick<Redis, "callBuffer" | "xgroup">;
  readonly #options: ReaderOptions;
  /** The id that the walk through the pending list has reached, by shard, while the walk is not over. */
  readonly #walk: Map<number, string>;
  readonly #size: ReadSize;

  constructor(redis: Pick<Redis, "callBuffer" | "xgroup">, options: ReaderOptions) {
    this.#redis = redis;
    this.#options = options;
    this.#size = new ReadSize(options);
    this.#walk = new Map(options.shards.map((shard) => [shard, "0"]));
  }

  /**
   * Returns the available entries, else those that arrive within 2 s, else none. One call at a time. Throws when Redis is
   * unreachable. Creates a destroyed group again, at `0`.
   */
  async read(): Promise<Deliveries> {
    const walking = this.#walk.size > 0;
    const from = walking ? this.#walk : new Map(this.#options.shards.map((shard) => [shard, ">"]));
    const { waits = true } = this.#options;
    const wait = walking || !waits ? [] : ["BLOCK", blockMs];
    const streams = ["STREAMS", ...[...from.keys()].map(streamKey), ...from.values()];
    const who = ["GROUP", groupName, this.#options.consumer, "COUNT", this.#size.count(from.size)];
    let reply: [key: Buffer, entries: RawEntry[]][] | null;
    try {
      reply = (await this.#redis.callBuffer("xreadgroup", ...who, ...wait, ...streams)) as typeof reply;
    } catch (error) {
      if (!isReply(error, "NOGROUP")) throw error;
      await ensureGroups(this.#redis, this.#options.shards);
      return noDeliveries();
    }
    const brought = new Map(reply?.map(([key, entries]) => [key.toString("latin1"), entries]));
    const deliveries = noDeliveries();
    for (const shard of from.keys()) {
      const entries = brought.get(streamKey(shard)) ?? [];
      sortEntries(deliveries, shard, entries);
      if (walking) this.#advance(shard, entries);
    }
    this.#size.learn(deliveries.entries);
    return deliveries;
  }

  #advance(shard: number, entries: readonly RawEntry[]): void {
    const last = entries.at(-1);
    if (last === undefined) this.#walk.delete(shard);
    else this.#walk.set(shard, last[0].toString("latin1"));
  }
}
