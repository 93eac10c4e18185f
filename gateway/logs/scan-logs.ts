import type { ReadDatabase } from "../query/read-database.ts";
import { walkBatches } from "./batch-walk.ts";
import type { LogFilter } from "./log-filter.ts";
import { newestFirst } from "./log-order.ts";
import { Matcher } from "./match-logs.ts";
import { readBlocks } from "./read-blocks.ts";
import type { BlockColumn, StoredBlock } from "./stored-block.ts";

/** How far a scan goes. */
export interface ScanBounds {
  /** Of all records that are read, matching or not. */
  readonly recordsMax?: number;
  /** After this time it ends. */
  readonly patienceMs?: number;
  /** Only one of this many batches is read, always the same ones. */
  readonly sampleDivisor?: number;
}

/** What a scan has read. */
export interface Scanned {
  /** Records, matching or not. */
  readonly recordsRead: number;
  /** No bound ended it. */
  readonly isComplete: boolean;
}

/**
 * Reads all batches that may hold matching records, the newest first. Calls `onMatch` with each block that has some, and
 * their places, until it returns false. Of the columns those are read that `columns` or the filter need.
 */
export async function scanLogs(
  db: ReadDatabase,
  filter: LogFilter,
  columns: readonly BlockColumn[],
  {
    recordsMax = Number.POSITIVE_INFINITY,
    patienceMs = Number.POSITIVE_INFINITY,
    sampleDivisor = 1,
  }: ScanBounds,
  onMatch: (block: StoredBlock, places: readonly number[]) => boolean | undefined,
): Promise<Scanned> {
  const patientUntilMs = performance.now() + patienceMs;
  const matcher = new Matcher(filter);
  const wanted = new Set<BlockColumn>(["times", ...columns, ...matcher.columns]);
  const edgeMicros = filter.endMicros === undefined ? undefined : filter.endMicros - 1n;
  let recordsRead = 0;
  let isStopped = false;
  let stepRecords = firstStepRecords;
  const recordsWanted = () => Math.min(stepRecords, recordsMax - recordsRead);
  const walkedRecordsMax = firstStepRecords;
  const walk = { filter, order: newestFirst, edgeMicros, recordsWanted, sampleDivisor, walkedRecordsMax };
  for await (const { batches, frontierMicros } of walkBatches(db, walk)) {
    await readBlocks(db, batches, wanted, (block) => {
      recordsRead += block.count;
      if (isStopped) return;
      const places = matcher.match(block);
      if (places.length > 0 && onMatch(block, places) === false) isStopped = true;
    });
    if (frontierMicros === undefined) break;
    stepRecords = stepRecordsMax;
    if (isStopped || recordsRead >= recordsMax || performance.now() >= patientUntilMs) {
      return { recordsRead, isComplete: false };
    }
  }
  return { recordsRead, isComplete: !isStopped };
}

/** What is behind may be skipped. */
const firstStepRecords = 10_000;
/** About 50 ms. */
const stepRecordsMax = 100_000;
