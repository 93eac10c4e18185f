import { once } from "node:events";
import type { Backoff } from "#lib/backoff.ts";
import type { Logger } from "#lib/logger.ts";
import type { Readiness } from "#lib/readiness.ts";
import { retry } from "#lib/retry.ts";
import { redisProblem } from "#stream/connection.ts";
import type { Deliveries, EntryPosition } from "#stream/delivery.ts";
import type { Entry } from "#stream/entry.ts";
import type { SessionProgress } from "#stream/session-progress.ts";
import { AdaptiveFlushLimit } from "../flush/adaptive-limit.ts";
import { FlushBuffer, type FlushLimits, type PendingFlush } from "../flush/flush-buffer.ts";
import { storeWithRetry } from "../flush/store-with-retry.ts";
import type { FlushResult, FlushTransaction } from "../flush/transaction.ts";
import { WorkerPool } from "../flush/worker-pool.ts";
import type { ConsumerMetrics } from "../metrics.ts";
import { deadLetterFor, decodeDelivery } from "../received-batch.ts";

/** The stream, as far as the consumer needs it. */
export interface Source {
  /** Waits up to 2 s for entries. After an error the next call starts with what is pending. */
  read(): Promise<Deliveries>;
  /** Ends a read that waits for entries. */
  wake(): Promise<void>;
  acknowledge(positions: readonly EntryPosition[]): Promise<void>;
}

export interface ConsumerOptions {
  readonly source: Source;
  /** One for each flush that may be in flight at the same time. */
  readonly transactions: readonly FlushTransaction[];
  readonly limits: FlushLimits;
  readonly metrics: ConsumerMetrics;
  readonly readiness: Readiness;
  readonly logger: Logger;
  /** The arrival time to store for a batch whose entry has this one, in microseconds. */
  readonly receivedAt: (micros: number) => number;
  /** Called after each COMMIT with the progress of the sessions in the flush. Must not throw. */
  readonly onCommitted: (progress: readonly SessionProgress[]) => void;
  /** Called for our own bugs: the process should die. */
  readonly fail: (error: unknown) => void;
}

const redisBackoff: Backoff = { baseMs: 50, capMs: 2_000 };

/**
 * The path of an entry through the consumer:
 *
 *     read → in flight → flush buffer → (a worker is free) → stored → acknowledged → forgotten
 *
 * An entry in flight is ignored when the stream delivers it again. Only committed entries are acknowledged; abandoned
 * ones stay pending in the stream, for the next start of this consumer or for another one. Reading pauses while a flush
 * waits for a worker.
 */
export class Consumer {
  readonly #options: ConsumerOptions;
  readonly #buffer: FlushBuffer;
  readonly #workers: WorkerPool<FlushTransaction, PendingFlush>;
  readonly #limit = new AdaptiveFlushLimit();
  readonly #inFlight = new Set<string>();
  readonly #abandoned = new AbortController();
  readonly #firstRead = Promise.withResolvers<void>();
  #stopping = false;
  #running: Promise<void> | undefined;

  constructor(options: ConsumerOptions) {
    this.#options = options;
    this.#workers = new WorkerPool(options.transactions, this.#flush.bind(this), (error) => {
      if (!this.#abandoned.signal.aborted) options.fail(error);
    });
    this.#buffer = new FlushBuffer(options.limits, (flush) => this.#workers.submit(flush));
  }

  /** Starts reading; resolves after the first answer of Redis. */
  start(): Promise<void> {
    this.#running ??= this.#readUntilStopped().catch(this.#options.fail);
    return this.#firstRead.promise;
  }

  /** Stops reading and stores what is in flight; abandons what is not stored after `deadlineMs`. */
  async stop(deadlineMs: number): Promise<void> {
    this.#stopping = true;
    const abandoned = once(this.#abandoned.signal, "abort");
    const timer = setTimeout(() => this.#abandoned.abort(), deadlineMs);
    await Promise.race([abandoned, this.#drain()]);
    clearTimeout(timer);
  }

  /** Resolves when no flush waits for a worker. */
  waitForCapacity(): Promise<void> {
    return this.#workers.waitForCapacity();
  }

  /** Receives entries, read here or taken over from another consumer. */
  receive({ entries, malformed, deleted }: Deliveries): void {
    for (const delivery of entries) {
      if (!this.#markInFlight(delivery)) continue;
      const entry = this.#withPlausibleTimes(delivery.entry);
      this.#buffer.add(delivery, decodeDelivery({ ...delivery, entry }));
    }
    for (const delivery of malformed) {
      if (this.#markInFlight(delivery)) this.#buffer.add(delivery, deadLetterFor(delivery));
    }
    for (const position of deleted) if (this.#markInFlight(position)) this.#buffer.addLost(position);
    if (deleted.length === 0) return;
    this.#options.metrics.lost.inc(deleted.length);
    this.#options.logger.error(
      { entries: deleted.slice(0, 10) },
      "entries were deleted before they were stored",
    );
  }

  async #drain(): Promise<void> {
    await Promise.all([this.#running, this.#options.source.wake()]);
    this.#buffer.flush();
    await this.#workers.waitUntilIdle();
  }

  async #readUntilStopped(): Promise<void> {
    for (;;) {
      await this.waitForCapacity();
      if (this.#stopping) return;
      const deliveries = await this.#read();
      if (deliveries === undefined) return;
      this.receive(deliveries);
      this.#options.readiness.ready("redis");
      this.#firstRead.resolve();
    }
  }

  /** Retries until Redis answers; undefined when the consumer was stopped meanwhile. */
  #read(): Promise<Deliveries | undefined> {
    const { source, readiness, logger } = this.#options;
    return retry(async () => (this.#stopping ? undefined : await source.read()), {
      backoff: redisBackoff,
      onFailure(error, failures) {
        readiness.notReady("redis", redisProblem(error));
        logger.warn({ err: error, failures }, "could not read from the stream, retrying");
      },
    });
  }

  async #flush(transaction: FlushTransaction, flush: PendingFlush): Promise<void> {
    const { metrics, logger, readiness } = this.#options;
    const observe = metrics.flushSeconds.startTimer();
    const signal = this.#abandoned.signal;
    const options = { transaction, limit: this.#limit, metrics, logger, readiness, signal };
    for (const result of await storeWithRetry(options, flush)) {
      this.#count(result);
      this.#options.onCommitted(result.progress);
    }
    observe();
    metrics.flushRecords.observe(flush.records);
    await this.#acknowledge(flush.positions);
    for (const position of flush.positions) this.#inFlight.delete(positionKey(position));
  }

  #acknowledge(positions: readonly EntryPosition[]): Promise<void> {
    const { source, logger } = this.#options;
    return retry(() => source.acknowledge(positions), {
      backoff: redisBackoff,
      signal: this.#abandoned.signal,
      onFailure: (error, failures) =>
        logger.warn({ err: error, failures }, "could not acknowledge entries, retrying"),
    });
  }

  /** The time of boot is by the same clock as that of reception. */
  #withPlausibleTimes(entry: Entry): Entry {
    const receivedAtMicros = this.#options.receivedAt(entry.receivedAtMicros);
    if (entry.bootedAtMicros === undefined) return { ...entry, receivedAtMicros };
    const bootedAtMicros = receivedAtMicros - (entry.receivedAtMicros - entry.bootedAtMicros);
    return { ...entry, receivedAtMicros, bootedAtMicros: Math.max(0, bootedAtMicros) };
  }

  /** False when the entry is in flight already. */
  #markInFlight(position: EntryPosition): boolean {
    const key = positionKey(position);
    if (this.#inFlight.has(key)) return false;
    this.#inFlight.add(key);
    return true;
  }

  #count(result: FlushResult): void {
    const { metrics } = this.#options;
    metrics.batches.inc({ outcome: "stored" }, result.batches);
    metrics.batches.inc({ outcome: "duplicate" }, result.duplicateBatches);
    metrics.recognisedRetries.inc(result.recognisedRetries);
    metrics.records.inc({ outcome: "stored" }, result.records);
    metrics.records.inc({ outcome: "duplicate" }, result.duplicateRecords);
    metrics.records.inc({ outcome: "dead_letter" }, result.deadLetters);
    metrics.summarizedDeadLetters.inc(result.summarizedDeadLetters);
    for (const [kind, count] of Object.entries(result.incidents)) metrics.incidents.inc({ kind }, count);
    metrics.droppedBatches.inc(Number(result.droppedBatches));
  }
}

function positionKey({ shard, id }: EntryPosition): string {
  return `${shard}/${id}`;
}
