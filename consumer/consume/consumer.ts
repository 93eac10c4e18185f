import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { type Backoff, backoffMs } from "#lib/backoff.ts";
import type { Logger } from "#lib/logger.ts";
import type { Readiness } from "#lib/readiness.ts";
import type { Deliveries, Place } from "#stream/delivery.ts";
import type { SessionProgress } from "#stream/session-news.ts";
import { FlushSize } from "../flush/adaptive-limit.ts";
import { type Draft, Drafter, type DraftLimits } from "../flush/flush-buffer.ts";
import { store } from "../flush/store-with-retry.ts";
import type { FlushWriter, Stored } from "../flush/transaction.ts";
import { FlushSlots } from "../flush/worker-pool.ts";
import type { ConsumerMetrics } from "../metrics.ts";
import { letterOfPoison, takeInHand } from "../received-batch.ts";

/** The stream, as far as the consumer needs it. */
export interface Source {
  /** Entries, waiting a moment for them. Throws when Redis is away; the next call then begins with what was pending. */
  read(): Promise<Deliveries>;
  /** Ends a wait for entries. */
  wake(): Promise<void>;
  /** Says that these are stored. */
  acknowledge(places: readonly Place[]): Promise<void>;
}

export interface ConsumerParts {
  readonly source: Source;
  /** One per flush that may be under way at the same time. */
  readonly writers: readonly FlushWriter[];
  readonly limits: DraftLimits;
  readonly metrics: ConsumerMetrics;
  readonly readiness: Readiness;
  readonly logger: Logger;
  /** What is stored as the time of arrival, in microseconds, of a batch that says this one. */
  readonly receivedAt: (micros: number) => number;
  /** How far the sessions of a flush are settled; called after its COMMIT. Must not throw. */
  readonly onCommitted: (progress: readonly SessionProgress[]) => void;
  /** Called for our own bugs: the process should die. */
  readonly fail: (error: unknown) => void;
}

const redisBackoff: Backoff = { baseMs: 50, capMs: 2_000 };

/**
 * The way of an entry through the consumer:
 *
 *     read → in hand → draft → (a writer is free) → stored → acknowledged → forgotten
 *
 * An entry in hand is not taken in hand again, however often the stream delivers it. Nothing is acknowledged that is
 * not committed; what is abandoned stays pending in the stream, for this consumer's next start or for another one.
 * At most one flush waits for a writer before reading stops.
 */
export class Consumer {
  readonly #parts: ConsumerParts;
  readonly #drafter: Drafter;
  readonly #slots: FlushSlots<FlushWriter, Draft>;
  readonly #size = new FlushSize();
  readonly #inHand = new Set<string>();
  readonly #abandon = new AbortController();
  readonly #firstRead = Promise.withResolvers<void>();
  #stopping = false;
  #running: Promise<void> | undefined;

  constructor(parts: ConsumerParts) {
    this.#parts = parts;
    this.#slots = new FlushSlots(parts.writers, this.#flush.bind(this), (error) => {
      if (!this.#abandon.signal.aborted) parts.fail(error);
    });
    this.#drafter = new Drafter(parts.limits, (draft) => this.#slots.submit(draft));
  }

  /** Begins to read; resolves after the first answer of Redis. */
  start(): Promise<void> {
    this.#running ??= this.#readUntilStopped().catch(this.#parts.fail);
    return this.#firstRead.promise;
  }

  /** Stops reading and stores what is in hand; what is not stored after `deadlineMs` is abandoned. */
  async stop(deadlineMs: number): Promise<void> {
    this.#stopping = true;
    const abandoned = once(this.#abandon.signal, "abort");
    const timer = setTimeout(() => this.#abandon.abort(), deadlineMs);
    await Promise.race([abandoned, this.#storeWhatIsInHand()]);
    clearTimeout(timer);
  }

  /** Until there is room for more. */
  room(): Promise<void> {
    return this.#slots.room();
  }

  /** Takes entries in hand, from wherever they were delivered. */
  take({ entries, poison, deleted }: Deliveries): void {
    for (const delivery of entries) {
      if (!this.#takeInHand(delivery)) continue;
      const { entry } = delivery;
      const receivedAtMicros = this.#parts.receivedAt(entry.receivedAtMicros);
      this.#drafter.add(delivery, takeInHand({ ...delivery, entry: { ...entry, receivedAtMicros } }));
    }
    for (const delivery of poison) {
      if (this.#takeInHand(delivery)) this.#drafter.add(delivery, letterOfPoison(delivery));
    }
    for (const place of deleted) if (this.#takeInHand(place)) this.#drafter.addLost(place);
    if (deleted.length === 0) return;
    this.#parts.metrics.lost.inc(deleted.length);
    this.#parts.logger.error(
      { entries: deleted.slice(0, 10) },
      "entries were deleted before they were stored",
    );
  }

  async #storeWhatIsInHand(): Promise<void> {
    await Promise.all([this.#running, this.#parts.source.wake()]);
    this.#drafter.flush();
    await this.#slots.idle();
  }

  async #readUntilStopped(): Promise<void> {
    const { source, readiness, logger } = this.#parts;
    let failures = 0;
    for (;;) {
      await this.#slots.room();
      if (this.#stopping) return;
      try {
        this.take(await source.read());
        failures = 0;
        readiness.ready("redis");
        this.#firstRead.resolve();
      } catch (error) {
        failures += 1;
        readiness.notReady("redis", (error as Error).message);
        logger.warn({ err: error, failures }, "could not read from the stream, will try again");
        await sleep(backoffMs(failures, redisBackoff));
      }
    }
  }

  async #flush(writer: FlushWriter, draft: Draft): Promise<void> {
    const { metrics, logger, readiness } = this.#parts;
    const observe = metrics.flushSeconds.startTimer();
    const tools = { writer, size: this.#size, metrics, logger, readiness, signal: this.#abandon.signal };
    for (const stored of await store(tools, draft)) {
      this.#count(stored);
      this.#parts.onCommitted(stored.progress);
    }
    observe();
    metrics.flushRecords.observe(draft.records);
    await this.#acknowledge(draft.places);
    for (const place of draft.places) this.#inHand.delete(nameOf(place));
  }

  async #acknowledge(places: readonly Place[]): Promise<void> {
    for (let failures = 0; ; ) {
      try {
        await this.#parts.source.acknowledge(places);
        return;
      } catch (error) {
        failures += 1;
        this.#parts.logger.warn({ err: error, failures }, "could not acknowledge, will try again");
        await sleep(backoffMs(failures, redisBackoff), undefined, { signal: this.#abandon.signal });
      }
    }
  }

  #takeInHand(place: Place): boolean {
    const name = nameOf(place);
    if (this.#inHand.has(name)) return false;
    this.#inHand.add(name);
    return true;
  }

  #count(stored: Stored): void {
    const { metrics } = this.#parts;
    metrics.batches.inc({ outcome: "stored" }, stored.batches);
    metrics.batches.inc({ outcome: "duplicate" }, stored.duplicateBatches);
    metrics.records.inc({ outcome: "stored" }, stored.records);
    metrics.records.inc({ outcome: "duplicate" }, stored.duplicateRecords);
    metrics.records.inc({ outcome: "dead_letter" }, stored.deadLetters);
    metrics.countedLetters.inc(stored.countedLetters);
    for (const [kind, count] of Object.entries(stored.incidents)) metrics.incidents.inc({ kind }, count);
    metrics.droppedBatches.inc(Number(stored.droppedBatches));
  }
}

function nameOf({ shard, id }: Place): string {
  return `${shard}/${id}`;
}
