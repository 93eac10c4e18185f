import { setTimeout as sleep } from "node:timers/promises";
import { Cluster } from "ioredis";
import { blockMs, type StreamRedis } from "./connection.ts";
import { type Delivery, type EntryPosition, noDeliveries, type RawEntry, sortEntries } from "./delivery.ts";
import { compareIds, fieldValue } from "./group-info.ts";
import { streamKey } from "./keys.ts";
import { ReadSize } from "./read-size.ts";

/*
 * Reads the streams without the consumer group, so that consumers still get every entry and nothing has to be
 * acknowledged. A reader keeps its own positions: the id of the last entry read of each shard, by shard number.
 */

/** How far a reader is in each shard: it has read all entries up to these ids. */
export type StreamPositions = readonly string[];

/** Before the first entry of a stream. */
export const streamStart = "0-0";

/** An entry and its position; undefined when it is malformed. */
export interface TailEntry extends EntryPosition {
  readonly entry: Delivery["entry"] | undefined;
}

/** Reads forward from positions. */
export class TailReader {
  readonly #redis: StreamRedis;
  readonly #size: ReadSize;
  #isBehind = false;

  /** Reads that wait need a connection of their own, with the options `readConnection`. */
  constructor(redis: StreamRedis, size: { readonly countMax: number; readonly bytesMax: number }) {
    this.#redis = redis;
    this.#size = new ReadSize(size);
  }

  /** True when the last read reached its limit in a shard: more entries wait, and may be trimmed before they are read. */
  get isBehind(): boolean {
    return this.#isBehind;
  }

  /**
   * Returns the next entries of all shards in id order. When there are none and `waits` is true, waits for 2 s; in a
   * cluster, where a command reaches only one shard, for a moment. Throws when a Redis is unreachable.
   */
  async read(after: StreamPositions, { waits }: { readonly waits: boolean }): Promise<TailEntry[]> {
    const count = this.#size.count(after.length);
    const shards = after.map((_, shard) => shard);
    let entries: TailEntry[];
    if (this.#redis instanceof Cluster) {
      entries = (await Promise.all(shards.map((shard) => this.#readShards(after, [shard], count)))).flat();
      if (entries.length === 0 && waits) await sleep(clusterPauseMs);
    } else {
      entries = await this.#readShards(after, shards, count, waits ? ["BLOCK", blockMs] : []);
    }
    this.#size.learn(entries.filter((one) => one.entry !== undefined) as Delivery[]);
    const byShard = Map.groupBy(entries, ({ shard }) => shard).values();
    this.#isBehind = byShard.some((own) => own.length === count);
    return entries.sort((a, b) => compareIds(a.id, b.id));
  }

  async #readShards(
    after: StreamPositions,
    shards: readonly number[],
    count: number,
    wait: readonly (string | number)[] = [],
  ): Promise<TailEntry[]> {
    const streams = [...shards.map(streamKey), ...shards.map((shard) => after[shard] ?? streamStart)];
    const args = ["COUNT", count, ...wait, "STREAMS", ...streams];
    const reply = (await this.#redis.callBuffer("xread", ...args)) as [Buffer, RawEntry[]][] | null;
    const brought = new Map(reply?.map(([key, raw]) => [key.toString("latin1"), raw]));
    return shards.flatMap((shard) => toTailEntries(shard, brought.get(streamKey(shard)) ?? []));
  }
}

const clusterPauseMs = 50;

/** The newest entries of one shard at or before `id` and not older than `sinceMs` of Redis's clock, newest first. */
export async function readBackwards(
  redis: StreamRedis,
  shard: number,
  { id, sinceMs, count }: { readonly id: string; readonly sinceMs: number; readonly count: number },
): Promise<TailEntry[]> {
  const raw = await redis.xrevrangeBuffer(streamKey(shard), id, sinceMs, "COUNT", count);
  return toTailEntries(shard, raw);
}

/** The state of a stream, from XINFO. */
export interface StreamState {
  /** The last id that it gave. */
  readonly lastId: string;
  /** The oldest entry that still exists. */
  readonly firstId: string | undefined;
  /** True when some of its entries are gone. */
  readonly isTrimmed: boolean;
}

export async function readStreamState(redis: StreamRedis, shard: number): Promise<StreamState> {
  let info: unknown[];
  try {
    info = (await redis.call("xinfo", "STREAM", streamKey(shard))) as unknown[];
  } catch (error) {
    if (!(error instanceof Error && error.message.startsWith("ERR no such key"))) throw error;
    return { lastId: streamStart, firstId: undefined, isTrimmed: false };
  }
  const first = fieldValue(info, "first-entry") as [string, ...unknown[]] | null;
  return {
    lastId: String(fieldValue(info, "last-generated-id")),
    firstId: first?.[0],
    isTrimmed: Number(fieldValue(info, "entries-added")) > Number(fieldValue(info, "length")),
  };
}

/**
 * Why a reader at `position` may have missed entries: "trimmed", the next entries may be gone; "lost", the stream was
 * never that far, so it is another one. Undefined when it missed none.
 */
export function missedAfter(position: string, state: StreamState): "trimmed" | "lost" | undefined {
  if (compareIds(position, state.lastId) > 0) return "lost";
  if (!state.isTrimmed || compareIds(position, state.lastId) === 0) return undefined;
  return state.firstId === undefined || compareIds(position, state.firstId) < 0 ? "trimmed" : undefined;
}

function toTailEntries(shard: number, raw: readonly RawEntry[]): TailEntry[] {
  return raw.map((one) => {
    const sorted = noDeliveries();
    sortEntries(sorted, shard, [one]);
    return { shard, id: one[0].toString("latin1"), entry: sorted.entries[0]?.entry };
  });
}
