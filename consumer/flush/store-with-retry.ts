import { setTimeout as sleep } from "node:timers/promises";
import { type Backoff, backoffMs } from "#lib/backoff.ts";
import type { Logger } from "#lib/logger.ts";
import type { Readiness } from "#lib/readiness.ts";
import type { ConsumerMetrics } from "../metrics.ts";
import type { BatchInHand } from "../received-batch.ts";
import { type FlushSize, halves, isTooSlow } from "./adaptive-limit.ts";
import { faultClass, faultOf } from "./postgres-errors.ts";
import { withoutRecords } from "./reject-records.ts";
import type { Flush, FlushWriter, Stored } from "./transaction.ts";

/*
 * Gets a flush into PostgreSQL, whatever happens:
 *
 *     write ── committed ────────────────────────────────────────────────▶ done
 *       ├─ too slow: a flush of several: each half by itself, and the next ones no larger (see FlushSize)
 *       ├─ outage, setup: wait, the same again, for ever
 *       └─ data: a flush of several: each half by itself
 *                a batch: find the records at fault by rehearsing ranges of it, and write it without them
 *                a batch refused even without any record: to dead_letters as a whole
 *
 * Only what PostgreSQL said about the data itself leads to a dead letter; no number of failed attempts does.
 */

const backoff: Backoff = { baseMs: 100, capMs: 10_000 };

export interface StoreTools {
  readonly writer: Pick<FlushWriter, "write" | "rehearse">;
  /** All writers on one PostgreSQL share it. */
  readonly size: FlushSize;
  readonly logger: Logger;
  readonly metrics: Pick<ConsumerMetrics, "retries">;
  readonly readiness: Readiness;
  /** Aborted: give up waiting; the flush stays in the stream, unacknowledged. */
  readonly signal: AbortSignal;
}

/** Stores everything in the flush and returns what each transaction did. Throws on abort and for our own bugs. */
export async function store(tools: StoreTools, flush: Flush): Promise<readonly Stored[]> {
  const { size, writer } = tools;
  const parts = halves(flush);
  if (parts !== undefined && size.isTooLarge(flush)) return storeEach(tools, parts);
  try {
    const stored = await persist(tools, () => writer.write(flush), parts === undefined ? never : isTooSlow);
    size.stored(flush);
    return [stored];
  } catch (error) {
    if (parts !== undefined && isTooSlow(error)) {
      size.tooSlow(flush);
      return storeEach(tools, parts);
    }
    if (faultOf(error) !== "data") throw error;
    if (parts !== undefined) return storeEach(tools, parts);
    const [batch] = flush.batches;
    if (batch === undefined) throw new Error("dead_letters refuses a letter", { cause: error });
    return [await storeFaultyBatch(tools, batch)];
  }
}

async function storeEach(tools: StoreTools, [first, second]: readonly [Flush, Flush]) {
  return [...(await store(tools, first)), ...(await store(tools, second))];
}

/** At most two rehearsals per record, and as a rule about 2 × log2 of the number of records. */
async function storeFaultyBatch(tools: StoreTools, batch: BatchInHand): Promise<Stored> {
  const faults = new Map<number, string>();
  const all = range(0, batch.scanned.recordCount);
  /** What PostgreSQL says to the batch with these records only; undefined: it would take them. */
  const complaint = async (records: readonly number[]): Promise<string | undefined> => {
    const kept = new Set(records);
    const left = new Map(all.filter((index) => !kept.has(index)).map((index) => [index, "left out"]));
    const scanned = withoutRecords(batch.scanned, left);
    return await refusal(tools, () =>
      tools.writer.rehearse({ batches: [{ ...batch, scanned }], letters: [] }),
    );
  };
  const find = async (records: readonly number[]): Promise<void> => {
    const reason = await complaint(records);
    if (reason === undefined) return;
    if (records.length === 1) {
      faults.set(records[0]!, reason);
      return;
    }
    const middle = records.length >> 1;
    await find(records.slice(0, middle));
    await find(records.slice(middle));
  };

  let reason = await complaint([]);
  if (reason === undefined) {
    await find(all);
    const scanned = withoutRecords(batch.scanned, faults);
    const flush = { batches: [{ ...batch, scanned }], letters: [] };
    try {
      const stored = await persist(tools, () => tools.writer.write(flush));
      tools.logger.error(
        { entry: batch.name, faults: [...faults].slice(0, 10) },
        "PostgreSQL refused records",
      );
      return stored;
    } catch (error) {
      if (faultOf(error) !== "data") throw error;
      reason = String(error);
    }
  }
  tools.logger.error({ entry: batch.name, reason }, "PostgreSQL refused a batch");
  const { name, entry, scanned } = batch;
  const letters = [{ name, entry, reason, raw: scanned.bytes, settles: batch }];
  return await persist(tools, () => tools.writer.write({ batches: [], letters }));
}

/** The words of a data fault; undefined when there is none. */
async function refusal(tools: StoreTools, attempt: () => Promise<void>): Promise<string | undefined> {
  try {
    await persist(tools, attempt);
    return undefined;
  } catch (error) {
    if (faultOf(error) === "data") return `PostgreSQL: ${(error as Error).message}`;
    throw error;
  }
}

/**
 * Attempts until it works; throws only for the data's fault, ours, the end of the program, and, after a pause, for what
 * is `hopeless` to attempt in the same way.
 */
async function persist<T>(
  tools: StoreTools,
  attempt: () => Promise<T>,
  hopeless: (error: unknown) => boolean = never,
): Promise<T> {
  const { logger, metrics, readiness, signal } = tools;
  for (let failures = 0; ; ) {
    signal.throwIfAborted();
    try {
      const result = await attempt();
      readiness.ready("postgres");
      return result;
    } catch (error) {
      const fault = faultOf(error);
      if (fault === "data" || fault === "bug") throw error;
      failures += 1;
      metrics.retries.inc({ class: faultClass(error) });
      readiness.notReady("postgres", (error as Error).message);
      const waitMs = backoffMs(failures, backoff);
      const level = fault === "setup" ? "error" : "warn";
      logger[level]({ err: error, failures, waitMs }, "could not store, will try again");
      await sleep(waitMs, undefined, { signal });
      if (hopeless(error)) throw error;
    }
  }
}

function never(): boolean {
  return false;
}

function range(start: number, end: number): readonly number[] {
  return Array.from({ length: end - start }, (_, index) => start + index);
}
