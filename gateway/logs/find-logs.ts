import type { Kysely } from "kysely";
import type { Database } from "#postgres/tables.ts";
import { walkBatches } from "./batch-walk.ts";
import type { DeviceKeys } from "./find-devices.ts";
import type { LogFilter } from "./log-filter.ts";
import { comparePositions, isListedBefore, type LogOrder, type LogPosition } from "./log-order.ts";
import { type FoundLog, readRecords } from "./read-records.ts";

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
 * 2. Read the best records of these batches, and keep the best of all read so far: one more than a page, to
 *    know whether there is a next one.
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
export async function findLogs(
  db: Kysely<Database>,
  filter: LogFilter,
  request: PageRequest,
): Promise<LogPage> {
  const { order, after, pageSize, bytesMax = pageBytesMax, patienceMs = Number.POSITIVE_INFINITY } = request;
  const patientUntilMs = performance.now() + patienceMs;
  const edgeMicros = after?.timeMicros ?? firstMicros(filter, order);
  let held: readonly FoundLog[] = [];
  let limit = pageSize + 1;
  let stepRecords = request.firstStepRecords ?? limit;
  const walkedRecordsMax = filter.deviceIds.length > 0 ? ofDevicesRecordsMax : ofAllRecordsMax;
  const walk = { walkedRecordsMax, ...request, filter, edgeMicros, recordsWanted: () => stepRecords };
  for await (const chunk of walkBatches(db, walk)) {
    const last = held.length === limit ? held.at(-1) : undefined;
    const found = await readRecords(db, filter, chunk.batches, { order, after, last, limit, bytesMax });
    const best = [...held, ...found].sort(comparePositions(order)).slice(0, limit);
    held = takeBytes(best, bytesMax);
    // Also when nothing was cut here: the rows beyond were not even sent.
    if (sumBytes(held) > bytesMax) limit = held.length;
    const lastHeld = held.at(-1);
    if (chunk.frontierMicros === undefined) break;
    if (
      held.length === limit &&
      lastHeld &&
      isListedBefore(order, lastHeld.timeMicros, chunk.frontierMicros)
    ) {
      break;
    }
    if (chunk.frontierMicros !== edgeMicros && performance.now() >= patientUntilMs) {
      return pageUpTo(order, chunk.frontierMicros, held.slice(0, pageSize));
    }
    const recordsRead = chunk.batches.reduce((sum, batch) => sum + batch.record_count, 0);
    if (recordsRead >= stepRecords) stepRecords = Math.min(stepRecords * 4, stepRecordsMax);
  }
  const logs = held.slice(0, pageSize);
  return { logs, next: held.length > pageSize || limit <= pageSize ? logs.at(-1) : undefined };
}

/** The records that certainly precede the frontier. The next page begins there, before every record of that time. */
function pageUpTo(order: LogOrder, frontierMicros: bigint, held: readonly FoundLog[]): LogPage {
  return {
    logs: held.filter(({ timeMicros }) => isListedBefore(order, timeMicros, frontierMicros)),
    next: order.isOldestFirst
      ? { timeMicros: frontierMicros, batchId: 0n, index: -1 }
      : { timeMicros: frontierMicros, batchId: 2n ** 63n - 1n, index: 2 ** 31 - 1 },
  };
}

/** The first time in the order that the filter allows; undefined: any. */
function firstMicros({ startMicros, endMicros }: LogFilter, order: LogOrder): bigint | undefined {
  if (order.isOldestFirst) return startMicros;
  return endMicros === undefined ? undefined : endMicros - 1n;
}

/** The logs up to and including the one that exceeds `bytesMax`; the rest is for the next page. */
function takeBytes(logs: readonly FoundLog[], bytesMax: number): readonly FoundLog[] {
  let sum = 0;
  for (const [index, log] of logs.entries()) {
    sum += log.bytes;
    if (sum > bytesMax) return logs.slice(0, index + 1);
  }
  return logs;
}

function sumBytes(logs: readonly FoundLog[]): number {
  return logs.reduce((sum, { bytes }) => sum + bytes, 0);
}

/** A page occupies several times this in memory: as rows, as a message, as JSON. */
const pageBytesMax = 4 * 1024 * 1024;
/** At about 160 bytes a record a step reads 16 MB of a table, about 50 ms. */
const stepRecordsMax = 100_000;
/** After this many records, about 20 ms, without a full page, a lookup in the indexes of closed days pays off. */
const ofAllRecordsMax = 20_000;
/** The indexes cover all devices, so a walk along a few is seldom longer than a lookup. */
const ofDevicesRecordsMax = 200_000;
