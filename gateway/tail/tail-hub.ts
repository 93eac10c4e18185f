import { setTimeout as sleep } from "node:timers/promises";
import { Code } from "@connectrpc/connect";
import { type Backoff, backoffMs } from "#lib/backoff.ts";
import type { Logger } from "#lib/logger.ts";
import { type StreamRedis, untilFirstTry } from "#stream/connection.ts";
import { compareIds, redisTimeMs } from "#stream/group-info.ts";
import { allShards } from "#stream/keys.ts";
import {
  readStreamState,
  type StreamPositions,
  streamStart,
  type TailEntry,
  TailReader,
} from "#stream/tail-reader.ts";
import type { LogFilter } from "../logs/log-filter.ts";
import { retryLater } from "../query/error-mapping.ts";
import { logsOfBatch } from "./batch-logs.ts";
import { findMissed } from "./missed.ts";
import { readRecent } from "./recent-entries.ts";
import { SeenBatches } from "./seen-batches.ts";
import { Tail } from "./tail.ts";
import type { TailMetrics } from "./tail-metrics.ts";
import { type BatchSlot, type Slot, TailRing } from "./tail-ring.ts";

export interface TailHubOptions {
  /** For short commands. */
  readonly redis: StreamRedis;
  /** For blocking reads only. */
  readonly waitingRedis: StreamRedis;
  readonly shards: number;
  readonly tailWindowMs: number;
  /** The approximate memory of the ring. */
  readonly ringBytesMax: number;
  readonly metrics: TailMetrics;
  readonly logger: Logger;
}

/**
 * Reads the stream once for all tails of this gateway:
 *
 *     idle ── first tail ──▶ recent entries into the ring ──▶ following ⇄ interrupted
 *      ▲                                                        │
 *      └──────────────── no tails for 10 s ─────────────────────┘
 *
 * While Redis is unreachable the tails stay open; reading then continues where it stopped.
 */
export class TailHub {
  readonly #options: TailHubOptions;
  readonly #tails = new Set<Tail>();
  readonly #seen = new SeenBatches();
  readonly #closing = new AbortController();
  #ring: TailRing;
  /** The positions up to which the streams were read. */
  #positions: string[] = [];
  /** The ring has every entry after these ids, up to `#positions`. */
  #coveredAfter: string[] = [];
  #started: Promise<void> | undefined;
  #isInterrupted = false;

  constructor(options: TailHubOptions) {
    this.#options = options;
    this.#ring = this.#newRing();
  }

  get isInterrupted(): boolean {
    return this.#isInterrupted;
  }

  /** Aborts when the gateway stops. */
  get closing(): AbortSignal {
    return this.#closing.signal;
  }

  /** Adds a tail, which has to `leave`. */
  enter(filter: LogFilter): Tail {
    const tail = new Tail(filter);
    this.#tails.add(tail);
    this.#options.metrics.open.set(this.#tails.size);
    return tail;
  }

  leave(tail: Tail): void {
    this.#tails.delete(tail);
    this.#options.metrics.open.set(this.#tails.size);
    tail.wake();
  }

  /** Resolves once the stream is being read. Throws UNAVAILABLE when Redis does not answer. */
  async ready(): Promise<void> {
    const started = (this.#started ??= this.#start());
    try {
      await started;
    } catch (error) {
      if (this.#started === started) this.#started = undefined;
      throw retryLater("Redis is unreachable", Code.Unavailable, error);
    }
    if (this.#isInterrupted) throw retryLater("Redis is unreachable", Code.Unavailable);
  }

  /** Lets the tail follow from now on; returns the entries before, as far as the ring has them. */
  followFromNow(tail: Tail): { readonly slots: readonly Slot[]; readonly coveredAfter: StreamPositions } {
    tail.follow(this.#ring, this.#ring.next, this.#positions);
    return { slots: this.#ring.all(), coveredAfter: [...this.#coveredAfter] };
  }

  /** Lets the tail follow after these positions; false: the ring does not reach back that far. */
  followFrom(tail: Tail, positions: StreamPositions): boolean {
    if (!positions.every((id, shard) => compareIds(id, this.#coveredAfter[shard] ?? "") >= 0)) return false;
    tail.follow(this.#ring, this.#ring.first, positions);
    return true;
  }

  get coveredAfter(): StreamPositions {
    return this.#coveredAfter;
  }

  /** Decodes a batch; a repeated one has no records. */
  read({ entry, shard, id }: TailEntry): BatchSlot {
    if (entry === undefined || this.#seen.isRepeat(entry, { shard, id })) {
      return { shard, id, digest: "", bytes: 0, deviceId: "", sessionId: "", severities: 0, logs: [] };
    }
    const { digest, batch } = entry;
    return { shard, id, digest: digest.toString("latin1"), bytes: batch.length, ...logsOfBatch(entry) };
  }

  /** Ends all tails, and refuses new ones. */
  close(): void {
    this.#closing.abort();
    this.#wakeAll();
  }

  async #start(): Promise<void> {
    const { redis, waitingRedis, shards, tailWindowMs, ringBytesMax } = this.#options;
    await Promise.all([untilFirstTry(redis), untilFirstTry(waitingRedis)]);
    const states = await Promise.all(allShards(shards).map((shard) => readStreamState(redis, shard)));
    const sinceMs = (await redisTimeMs(redis, 0)) - tailWindowMs;
    this.#ring = this.#newRing();
    this.#positions = states.map(({ lastId }) => lastId);
    const recent = await readRecent(redis, this.#positions, { sinceMs, bytesMax: ringBytesMax / 8 });
    this.#coveredAfter = states.map(({ lastId, firstId }, shard) => {
      const oldest = recent.find((one) => one.shard === shard)?.id ?? lastId;
      return oldest === firstId ? streamStart : oldest; // the stream has nothing older
    });
    for (const entry of recent) this.#ring.push(this.read(entry));
    this.#isInterrupted = false;
    void this.#run();
  }

  async #run(): Promise<void> {
    const { waitingRedis, metrics, logger } = this.#options;
    const reader = new TailReader(waitingRedis, readSize);
    let failures = 0;
    for (let busyAtMs = performance.now(); ; ) {
      if (this.#tails.size > 0) busyAtMs = performance.now();
      if (this.closing.aborted || performance.now() - busyAtMs > lingerMs) break;
      let entries: TailEntry[];
      try {
        if (this.#isInterrupted) await this.#checkForMissed(this.#positions);
        const before = [...this.#positions];
        entries = await reader.read(before, { waits: !this.#isInterrupted });
        // Checked after the read: entries that existed then were read, or are known to be gone.
        if (reader.isBehind) await this.#checkForMissed(before);
      } catch (error) {
        failures += 1;
        logger.warn({ err: error, failures }, "could not read the streams for live tails, retrying");
        this.#setInterrupted(true);
        await sleep(backoffMs(failures, redisBackoff));
        continue;
      }
      failures = 0;
      metrics.batches.inc(entries.length);
      for (const entry of entries) {
        this.#positions[entry.shard] = entry.id;
        this.#ring.push(this.read(entry));
      }
      if (entries.length > 0) this.#wakeAll();
      this.#setInterrupted(false);
    }
    this.#started = undefined;
  }

  /** Redis may have trimmed unread entries; after an outage, it may be another one. */
  async #checkForMissed(behind: StreamPositions): Promise<void> {
    const missed = await findMissed(this.#options.redis, behind);
    if (missed === undefined) return;
    for (const [shard, position] of missed.goOnAfter) {
      this.#positions[shard] = position;
      this.#coveredAfter[shard] = position;
    }
    this.#ring.push(missed);
  }

  #setInterrupted(isInterrupted: boolean): void {
    if (this.#isInterrupted === isInterrupted) return;
    this.#isInterrupted = isInterrupted;
    this.#wakeAll();
  }

  #newRing(): TailRing {
    return new TailRing(this.#options.ringBytesMax, (number, slot) => {
      for (const tail of this.#tails) tail.lose(number, slot);
      if (!("gap" in slot)) this.#coveredAfter[slot.shard] = slot.id;
    });
  }

  #wakeAll(): void {
    for (const tail of this.#tails) tail.wake();
  }
}

const readSize = { countMax: 500, bytesMax: 1 << 20 };
const redisBackoff: Backoff = { baseMs: 50, capMs: 1000 };
/** A reload of the dashboard finds the ring filled. */
const lingerMs = 10_000;
