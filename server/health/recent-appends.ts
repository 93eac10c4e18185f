import { compareIds } from "#stream/group-info.ts";
import type { AppendedBatch, UnconfirmedReport } from "#stream/unconfirmed.ts";

/** For all shards together: about 15 MB, or 10 s of small batches while nothing is stored. */
const batchesMax = 50_000;

interface ShardAppends {
  /** Ordered by id; those before `start` are removed. */
  batches: AppendedBatch[];
  start: number;
  lastId: string;
  forgottenCount: number;
}

/**
 * The batches that this server appended and that are not stored yet, as far as it knows: they may be missing when Redis
 * comes back with an older copy of its data. Of a long backlog it keeps the newest.
 */
export class RecentAppends {
  readonly #shards = new Map<number, ShardAppends>();
  readonly #batchesMax: number;
  #size = 0;

  constructor(max = batchesMax) {
    this.#batchesMax = max;
  }

  add(shard: number, id: string, { deviceId, sessionId, sequence }: Omit<AppendedBatch, "id">): void {
    const own = this.#shards.get(shard) ?? { batches: [], start: 0, lastId: id, forgottenCount: 0 };
    this.#shards.set(shard, own);
    own.batches.push({ id, deviceId, sessionId, sequence });
    own.lastId = id;
    this.#size += 1;
    if (this.#size <= this.#batchesMax) return;
    own.forgottenCount += 1;
    this.#remove(own, 1);
  }

  /** The id of the newest entry that this server appended. */
  lastId(shard: number): string {
    return this.#shards.get(shard)?.lastId ?? "0-0";
  }

  /** All entries before this one are stored. */
  forgetStored(shard: number, before: string): void {
    const own = this.#shards.get(shard);
    if (own === undefined) return;
    let end = own.start;
    while (end < own.batches.length && compareIds(own.batches[end]!.id, before) < 0) end += 1;
    if (end > own.start) own.forgottenCount = 0;
    this.#remove(own, end - own.start);
  }

  /** The batches that may be missing; undefined when there are none. */
  report(shard: number): UnconfirmedReport | undefined {
    const own = this.#shards.get(shard);
    if (own === undefined) return undefined;
    const { forgottenCount } = own;
    const batches = own.batches.slice(own.start);
    return batches.length + forgottenCount === 0
      ? undefined
      : { name: crypto.randomUUID(), batches, forgottenCount };
  }

  /** Moves the rest to the front only when half is removed, so that each batch is moved once on average. */
  #remove(own: ShardAppends, count: number): void {
    own.start += count;
    this.#size -= count;
    if (own.start * 2 <= own.batches.length) return;
    own.batches = own.batches.slice(own.start);
    own.start = 0;
  }
}
