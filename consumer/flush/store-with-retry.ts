import type { Backoff } from "#lib/backoff.ts";
import type { Logger } from "#lib/logger.ts";
import type { Readiness } from "#lib/readiness.ts";
import { retry } from "#lib/retry.ts";
import type { ConsumerMetrics } from "../metrics.ts";
import type { ReceivedBatch } from "../received-batch.ts";
import { type AdaptiveFlushLimit, isTimeout, splitFlush } from "./adaptive-limit.ts";
import { classifyError, sqlStateClass } from "./postgres-errors.ts";
import { rejectRecords } from "./reject-records.ts";
import type { Flush, FlushResult, FlushTransaction } from "./transaction.ts";

/*
 * Stores a flush in PostgreSQL, whatever happens:
 *
 *     commit ── committed ───────────────────────────────────────────────▶ done
 *       ├─ timeout: split the flush, store each half, and keep the next ones as small (see AdaptiveFlushLimit)
 *       ├─ outage, setup: wait, retry the same flush, without limit
 *       └─ data: several items: split the flush, store each half
 *                one batch: find the invalid records by dry runs of ranges, commit without them
 *                a batch that fails even without any record: to dead_letters as a whole
 *
 * Only PostgreSQL's answer about the data itself makes a dead letter; no number of failed attempts does.
 */

const backoff: Backoff = { baseMs: 100, capMs: 10_000 };

export interface StoreOptions {
  readonly transaction: Pick<FlushTransaction, "commit" | "dryRun">;
  /** Shared by all transactions on one PostgreSQL. */
  readonly limit: AdaptiveFlushLimit;
  readonly logger: Logger;
  readonly metrics: Pick<ConsumerMetrics, "retries">;
  readonly readiness: Readiness;
  /** Aborted: stop retrying; the flush stays in the stream, unacknowledged. */
  readonly signal: AbortSignal;
}

/** Stores everything in the flush and returns the result of each transaction. Throws on abort and for our own bugs. */
export async function storeWithRetry(options: StoreOptions, flush: Flush): Promise<readonly FlushResult[]> {
  const { limit } = options;
  const parts = splitFlush(flush);
  if (parts !== undefined && limit.isTooLarge(flush)) return storeEach(options, parts);
  try {
    const result = await commit(options, flush, parts !== undefined);
    limit.onStored(flush);
    return [result];
  } catch (error) {
    if (parts !== undefined && isTimeout(error)) {
      limit.onTimeout(flush);
      return storeEach(options, parts);
    }
    if (classifyError(error) !== "data") throw error;
    if (parts !== undefined) return storeEach(options, parts);
    const [batch] = flush.batches;
    if (batch === undefined) throw new Error("PostgreSQL refuses a dead letter", { cause: error });
    return [await storeValidRecords(options, batch)];
  }
}

async function storeEach(options: StoreOptions, [first, second]: readonly [Flush, Flush]) {
  return [...(await storeWithRetry(options, first)), ...(await storeWithRetry(options, second))];
}

/** Stores a batch without the records that PostgreSQL refuses, or the whole batch as a dead letter. */
async function storeValidRecords(options: StoreOptions, batch: ReceivedBatch): Promise<FlushResult> {
  const { logger } = options;
  const { entryName, entry, scanned } = batch;
  let reason = await refusalWithout(options, batch, allRecords(batch));
  if (reason === undefined) {
    const invalid = await findInvalidRecords(options, batch);
    const valid = { ...batch, scanned: rejectRecords(scanned, invalid) };
    try {
      const result = await commit(options, { batches: [valid], deadLetters: [] });
      logger.error({ entry: entryName, records: [...invalid].slice(0, 10) }, "PostgreSQL refused records");
      return result;
    } catch (error) {
      if (classifyError(error) !== "data") throw error;
      reason = String(error);
    }
  }
  logger.error({ entry: entryName, reason }, "PostgreSQL refused a batch");
  const deadLetter = { entryName, entry, reason, raw: scanned.bytes, settledBatch: batch };
  return await commit(options, { batches: [], deadLetters: [deadLetter] });
}

/**
 * The index of every record that PostgreSQL refuses, with the reason. Needs at most two dry runs per record, and
 * usually about 2 × log2 of the number of records.
 */
async function findInvalidRecords(
  options: StoreOptions,
  batch: ReceivedBatch,
): Promise<ReadonlyMap<number, string>> {
  const all = allRecords(batch);
  const invalid = new Map<number, string>();
  const search = async (records: readonly number[]): Promise<void> => {
    const tested = new Set(records);
    const others = all.filter((index) => !tested.has(index));
    const reason = await refusalWithout(options, batch, others);
    if (reason === undefined) return;
    const [only] = records;
    if (records.length === 1 && only !== undefined) {
      invalid.set(only, reason);
      return;
    }
    const middle = records.length >> 1;
    await search(records.slice(0, middle));
    await search(records.slice(middle));
  };
  await search(all);
  return invalid;
}

/** Why PostgreSQL refuses the batch without these records; undefined when it accepts it. */
async function refusalWithout(
  options: StoreOptions,
  batch: ReceivedBatch,
  omitted: readonly number[],
): Promise<string | undefined> {
  const scanned = rejectRecords(batch.scanned, new Map(omitted.map((index) => [index, "omitted"])));
  const flush = { batches: [{ ...batch, scanned }], deadLetters: [] };
  try {
    await retryOutages(options, () => options.transaction.dryRun(flush));
    return undefined;
  } catch (error) {
    if (classifyError(error) === "data") return `PostgreSQL: ${(error as Error).message}`;
    throw error;
  }
}

function commit(options: StoreOptions, flush: Flush, canSplit = false): Promise<FlushResult> {
  return retryOutages(options, () => options.transaction.commit(flush), canSplit ? isTimeout : undefined);
}

/** Retries until the attempt succeeds. Throws data errors, bugs, the abort, and `isFinalAfterWait` after its wait. */
function retryOutages<T>(
  { logger, metrics, readiness, signal }: StoreOptions,
  attempt: () => Promise<T>,
  isFinalAfterWait: (error: unknown) => boolean = never,
): Promise<T> {
  return retry(
    async () => {
      const result = await attempt();
      readiness.ready("postgres");
      return result;
    },
    {
      backoff,
      signal,
      isFinal: (error) => ["data", "bug"].includes(classifyError(error)),
      isFinalAfterWait,
      onFailure(error, failures, waitMs) {
        metrics.retries.inc({ class: sqlStateClass(error) });
        readiness.notReady("postgres", (error as Error).message);
        const level = classifyError(error) === "setup" ? "error" : "warn";
        logger[level]({ err: error, failures, waitMs }, "could not store a flush, retrying");
      },
    },
  );
}

function allRecords({ scanned }: ReceivedBatch): readonly number[] {
  return Array.from({ length: scanned.recordCount }, (_, index) => index);
}

function never(): boolean {
  return false;
}
