import type { ReadDatabase } from "../query/read-database.ts";
import { walkBatches } from "./batch-walk.ts";
import type { DeviceKeys } from "./find-devices.ts";
import type { LogFilter } from "./log-filter.ts";
import { isListedBefore, type LogOrder, type LogPosition } from "./log-order.ts";
import { PageBuilder } from "./page-builder.ts";
import type { FoundLog } from "./read-blocks.ts";

/** Which of the matching records make a page. */
export interface PageRequest {
  readonly order: LogOrder;
  /** The last record of the page before. */
  readonly after: LogPosition | undefined;
  readonly pageSize: number;
  /** Of messages and attributes: a page ends with the record that exceeds it. */
  readonly bytesMax?: number;
  /** After this time a page ends with the records that are certain to be next, possibly none. Default: no limit. */
  readonly patienceMs?: number;
  /** How many records the first step may read. Default: as many as fill a page, which is best for small pages. */
  readonly firstStepRecords?: number;
  /** After this many records without a full page, the batches of dropped days are skipped. */
  readonly walkedRecordsMax?: number;
  /** False: throws an ExpensiveQueryError instead of becoming expensive. */
  readonly hasPermit?: boolean;
  readonly deviceKeys?: DeviceKeys;
  /** Only batches up to this id: those that were stored when it was the highest. Default: all. */
  readonly batchIdMax?: bigint | undefined;
}

export interface LogPage {
  readonly logs: readonly FoundLog[];
  /** The position for the next page. Undefined: this is the last. */
  readonly next: LogPosition | undefined;
}

/**
 * The first `pageSize` matching records after the position `after`, in order. Fewer, although there are more,
 * when they are large or the patience is exhausted.
 *
 * There is no index on the time of a record: the batch is the index. Batches overlap in time, also those of one
 * device, so the newest records are not simply those of the newest batch:
 *
 * 1. Walk the batches, newest end first, some at a time ({@link walkBatches}).
 * 2. Read these batches, and keep the best of all matching records so far ({@link PageBuilder}): one more than a page,
 *    to know whether there is a next one.
 * 3. Stop when as many are held and the last of them precedes the frontier: no unwalked batch reaches that far.
 *    Or when no batch is left.
 *
 * After a step without a full page the next may read four times as many records, up to `stepRecordsMax`: a page
 * that the newest batch fills costs little, and a rare text does not cost a thousand round trips. The caller bounds the
 * total time, by the signal that ends the connection.
 *
 * A row that arrives between two pages is listed if its position is still ahead, and missed if it was passed,
 * as happens to a device whose clock is behind; a row that was there before the first page is listed exactly
 * once.
 */
export async function findLogs(db: ReadDatabase, filter: LogFilter, request: PageRequest): Promise<LogPage> {
  const { order, after, pageSize, bytesMax = pageBytesMax, patienceMs = Number.POSITIVE_INFINITY } = request;
  const patientUntilMs = performance.now() + patienceMs;
  const edgeMicros = after?.timeMicros ?? firstMicros(filter, order);
  const page = new PageBuilder(db, filter, { order, after, limit: pageSize + 1, bytesMax });
  let stepRecords = request.firstStepRecords ?? page.limit;
  const walkedRecordsMax = walkedRecordsMaxDefault;
  const walk = { walkedRecordsMax, ...request, filter, edgeMicros, recordsWanted: () => stepRecords };
  for await (const { batches, frontierMicros } of walkBatches(db, walk)) {
    await page.read(batches);
    const { held } = page;
    const lastHeld = held.length === page.limit ? held.at(-1) : undefined;
    if (frontierMicros === undefined) break;
    if (lastHeld && isListedBefore(order, lastHeld.timeMicros, frontierMicros)) break;
    if (frontierMicros !== edgeMicros && performance.now() >= patientUntilMs) {
      const certain = held.findIndex(({ timeMicros }) => !isListedBefore(order, timeMicros, frontierMicros));
      const count = Math.min(certain < 0 ? held.length : certain, pageSize);
      const { logs, isCut } = await page.finish(count);
      return { logs, next: isCut ? logs.at(-1) : placeBefore(order, frontierMicros) };
    }
    const recordsRead = batches.reduce((sum, batch) => sum + batch.record_count, 0);
    if (recordsRead >= stepRecords) stepRecords = Math.min(stepRecords * 4, stepRecordsMax);
  }
  const { held, limit } = page;
  const { logs, isCut } = await page.finish(pageSize);
  const hasMore = held.length > pageSize || limit <= pageSize || isCut;
  return { logs, next: hasMore ? logs.at(-1) : undefined };
}

/** The place before every record of the frontier's time. */
function placeBefore({ isOldestFirst }: LogOrder, frontierMicros: bigint): LogPosition {
  return isOldestFirst
    ? { timeMicros: frontierMicros, batchId: 0n, index: -1 }
    : { timeMicros: frontierMicros, batchId: 2n ** 63n - 1n, index: 2 ** 31 - 1 };
}

/** The position from which a query with this filter begins: after it come all records of its pages. */
export function startOf(order: LogOrder, filter: LogFilter, after: LogPosition | undefined): LogPosition {
  return after ?? placeBefore(order, firstMicros(filter, order) ?? (order.isOldestFirst ? earliest : latest));
}

/** The first time in the order that the filter allows; undefined: any. */
function firstMicros({ startMicros, endMicros }: LogFilter, order: LogOrder): bigint | undefined {
  if (order.isOldestFirst) return startMicros;
  return endMicros === undefined ? undefined : endMicros - 1n;
}

/** Years 1653 and 5138: no record's time is beyond, as nanoseconds have 64 bits. */
const earliest = -(10n ** 16n) + 1n;
const latest = 10n ** 17n - 1n;
/** A page occupies several times this in memory: as rows, as a message, as JSON. */
const pageBytesMax = 4 * 1024 * 1024;
/** At about 130 bytes a record a step reads 13 MB, about 50 ms. */
const stepRecordsMax = 100_000;
/** After this many records, about 10 ms, without a full page, it pays to ask which days were dropped. */
const walkedRecordsMaxDefault = 20_000;
