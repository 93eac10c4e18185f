import type { Redis } from "ioredis";
import { type Deliveries, type EntryPosition, noDeliveries, type RawEntry, sortEntries } from "./delivery.ts";
import { groupName, streamKey } from "./keys.ts";

export interface ReclaimOptions {
  readonly shards: readonly number[];
  readonly consumer: string;
  /**
   * An entry unacknowledged for this long is taken over. At least three times the longest flush, or two consumers
   * work on the same batch (harmless, but wasted). Includes entries that this consumer itself has held that long.
   */
  readonly idleMinMs: number;
  /** Entries taken over per shard and call, at most. */
  readonly countMax: number;
}

/**
 * Takes over the unacknowledged entries of dead members of the group. XAUTOCLAIM scans a bounded piece of the group's
 * pending list per call, so each shard's cursor is kept for the next call; after the end it starts again.
 */
export class Reclaimer {
  readonly #redis: Pick<Redis, "callBuffer">;
  readonly #options: ReclaimOptions;
  readonly #cursors = new Map<number, string>();

  constructor(redis: Pick<Redis, "callBuffer">, options: ReclaimOptions) {
    this.#redis = redis;
    this.#options = options;
  }

  /**
   * Runs one step in every shard. Throws when Redis is unreachable, and NOGROUP until a read has created the group again,
   * but only if no other shard returned entries.
   */
  async reclaim(): Promise<Deliveries> {
    const deliveries = noDeliveries();
    const failures: unknown[] = [];
    for (const shard of this.#options.shards) {
      await this.#step(shard, deliveries).catch((error: unknown) => failures.push(error));
    }
    const brought = deliveries.entries.length + deliveries.malformed.length + deliveries.deleted.length;
    if (failures.length > 0 && brought === 0) throw failures[0];
    return deliveries;
  }

  /** True when every shard's cursor is at the start: the last calls together have scanned the whole list. */
  get isAtStart(): boolean {
    return [...this.#cursors.values()].every((cursor) => cursor === "0-0");
  }

  async #step(shard: number, into: Deliveries): Promise<void> {
    const { consumer, idleMinMs, countMax } = this.#options;
    const cursor = this.#cursors.get(shard) ?? "0-0";
    const [next, entries, deleted] = (await this.#redis.callBuffer(
      "xautoclaim",
      streamKey(shard),
      groupName,
      consumer,
      idleMinMs,
      cursor,
      "COUNT",
      countMax,
    )) as [next: Buffer, entries: RawEntry[], deleted: Buffer[]];
    this.#cursors.set(shard, next.toString("latin1"));
    sortEntries(into, shard, entries);
    into.deleted.push(...deleted.map((id): EntryPosition => ({ shard, id: id.toString("latin1") })));
  }
}
