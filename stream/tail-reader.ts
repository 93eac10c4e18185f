import { setTimeout as sleep } from "node:timers/promises";
import { Cluster } from "ioredis";
import { blockMs, type StreamRedis } from "./connection.ts";
import { type Delivery, type EntryPosition, noDeliveries, type RawEntry, sortEntries } from "./delivery.ts";
import { compareIds, fieldValue } from "./group-info.ts";
import { streamKey } from "./keys.ts";
import { ReadSize } from "./read-size.ts";

/*
 * Reads the streams beside the consumers: without the group, so that nothing is taken from anybody and nothing has to be
 * acknowledged. A reader knows by itself how far it is: positions, the id of the last entry read of each shard, by the
 * number of the shard.
 */

/** How far a reader is in each shard; all entries up to these ids are known to it. */
export type StreamPositions = readonly string[];

/** Before the first entry of a stream. */
export const streamStart = "0-0";

/** What stands at a place; undefined: something that is no entry. */
export interface TailEntry extends EntryPosition {
  readonly entry: Delivery["entry"] | undefined;
}

/** Reads onwards from positions. */
export class TailReader {
  readonly #redis: StreamRedis;
  readonly #size: ReadSize;
  #isBehind = false;

  /** Waiting reads need a connection of their own, with the options `readConnection`. */
  constructor(redis: StreamRedis, size: { readonly countMax: number; readonly bytesMax: number }) {
    this.#redis = redis;
    this.#size = new ReadSize(size);
  }

  /** Whether the last read brought all that it may of a shard: more may wait, and be gone before it is read. */
  get isBehind(): boolean {
    return this.#isBehind;
  }

  /**
   * The next entries of all shards in the order of their ids. When there are none and it `waits`, what comes within
   * 2 s; in a cluster, where one command reaches one shard, within a moment. Throws when a Redis is unreachable.
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
    const ofShards = Map.groupBy(entries, ({ shard }) => shard).values();
    this.#isBehind = ofShards.some((own) => own.length === count);
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

/** What a stream says about itself. */
export interface StreamState {
  /** The last id it ever gave. */
  readonly lastId: string;
  /** The oldest entry that is there. */
  readonly firstId: string | undefined;
  /** Whether some that were added are gone. */
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
 * Whether a reader that stands at `position` may have missed something: "trimmed", what came next may be gone; "lost",
 * it has read further than the stream ever was, which is another one then.
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
