import type { Kysely } from "kysely";
import type { Database } from "#postgres/tables.ts";
import { walkBatches } from "./batch-walk.ts";
import { compareNewestFirst, type LogFilter, type LogPosition } from "./log-filter.ts";
import { type FoundLog, pageBytesMax, readRecords } from "./read-records.ts";

export interface LogPage {
  readonly logs: readonly FoundLog[];
  readonly hasMore: boolean;
}

/**
 * The first `pageSize` records that match `filter` and come after the place `after`, newest first. Fewer, although
 * there are more, when they are large: a page ends with the record that brings it over `pageBytesMax`.
 *
 * There is no index on the time of a record: the batch is the index. Batches overlap in time, also those of one
 * device, so the newest records are not simply those of the newest batch:
 *
 * 1. Walk the batches, newest end first, some at a time ({@link walkBatches}).
 * 2. Read the best records of these batches, and keep the best of all read so far: one more than a page, to know
 *    whether there is a next one.
 * 3. Stop when as many are held and the oldest of them is newer than the frontier: no batch not yet walked reaches
 *    that far. Or when no batch is left.
 *
 * After a step in vain the next may read four times as many records, up to `stepRecordsMax`, so that a page that is
 * filled by the newest batch costs little and a rare text does not cost a thousand round trips. How long all steps
 * together may take is the caller's to bound, by the signal that ends the connection.
 *
 * A row that arrives between two pages is listed if its place is still ahead, and missed if it was passed, as happens
 * to a device whose clock is behind; a row that was there before the first page is listed exactly once.
 */
export async function findLogs(
  db: Kysely<Database>,
  filter: LogFilter,
  after: LogPosition | undefined,
  pageSize: number,
): Promise<LogPage> {
  const highMicros = lowest(
    after?.timeMicros,
    filter.endMicros === undefined ? undefined : filter.endMicros - 1n,
  );
  let held: readonly FoundLog[] = [];
  let limit = pageSize + 1;
  let stepRecords = limit;
  for await (const chunk of walkBatches(db, filter, highMicros, () => stepRecords)) {
    const oldest = held.length === limit ? held.at(-1) : undefined;
    const found = await readRecords(db, filter, chunk.batches, { highMicros, after, oldest, limit });
    const best = [...held, ...found].sort(compareNewestFirst).slice(0, limit);
    held = takeBytes(best);
    if (held.length < best.length) limit = held.length;
    const oldestHeld = held.at(-1);
    if (chunk.frontierMicros === undefined) break;
    if (held.length === limit && oldestHeld && oldestHeld.timeMicros > chunk.frontierMicros) break;
    const recordsRead = chunk.batches.reduce((sum, batch) => sum + batch.record_count, 0);
    if (recordsRead >= stepRecords) stepRecords = Math.min(stepRecords * 4, stepRecordsMax);
  }
  return { logs: held.slice(0, pageSize), hasMore: held.length > pageSize || limit <= pageSize };
}

/** The logs up to and with the one that brings them over `pageBytesMax`; what comes after waits for the next page. */
function takeBytes(logs: readonly FoundLog[]): readonly FoundLog[] {
  let sum = 0;
  for (const [index, log] of logs.entries()) {
    sum += log.bytes;
    if (sum > pageBytesMax) return logs.slice(0, index + 1);
  }
  return logs;
}

function lowest(a: bigint | undefined, b: bigint | undefined): bigint | undefined {
  if (a === undefined || b === undefined) return a ?? b;
  return a < b ? a : b;
}

/** At about 160 bytes a record this is 16 MB of a table that a step reads, some 50 ms. */
const stepRecordsMax = 100_000;
