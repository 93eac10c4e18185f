import { type Kysely, sql } from "kysely";
import type { Database } from "#postgres/tables.ts";
import { selectMicros, timestamptz } from "../time.ts";
import { type WalkedBatch, walkBatches } from "./batch-walk.ts";
import { compareNewestFirst, containsText, type LogFilter, type LogPosition } from "./log-filter.ts";

/** A record with what its batch knows about it. */
export interface FoundLog extends LogPosition {
  readonly batch: WalkedBatch;
  /** Of its message and attributes. */
  readonly bytes: number;
  readonly severity: number;
  readonly logger: string;
  readonly message: string;
  readonly attributes: Readonly<Record<string, string>>;
}

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

/** Where to look inside the chosen batches. */
interface Window {
  readonly highMicros: bigint | undefined;
  readonly after: LogPosition | undefined;
  /** The oldest record already held when no more are needed: only newer ones can take its place. */
  readonly oldest: LogPosition | undefined;
  readonly limit: number;
}

async function readRecords(
  db: Kysely<Database>,
  filter: LogFilter,
  batches: readonly WalkedBatch[],
  { highMicros, after, oldest, limit }: Window,
): Promise<FoundLog[]> {
  if (batches.length === 0) return [];
  const byId = new Map(batches.map((batch) => [batch.id, batch]));
  const low = oldest?.timeMicros ?? filter.startMicros;
  let query = db.selectFrom("records").where(sql<boolean>`batch_id = any(${[...byId.keys()]}::int8[])`);
  if (low !== undefined) query = query.where("time", ">=", timestamptz(low));
  if (highMicros !== undefined) query = query.where("time", "<=", timestamptz(highMicros));
  if (after !== undefined) {
    const place = sql`(${timestamptz(after.timeMicros)}, ${String(after.batchId)}::int8, ${after.index}::int4)`;
    query = query.where(sql<boolean>`(time, batch_id, idx) < ${place}`);
  }
  if (filter.minSeverity > 0) query = query.where("severity", ">=", filter.minSeverity);
  if (filter.text !== "") query = query.where((row) => containsText(row.ref("message"), filter.text));
  const newest = query
    .select((row) => ["batch_id", "idx", "severity", selectMicros(row.ref("time")).as("time_micros")])
    .select(["logger", "message", "attributes"])
    .orderBy("time", "desc")
    .orderBy("batch_id", "desc")
    .orderBy("idx", "desc")
    .limit(limit);
  // What takeBytes would drop is not sent to begin with. Measured outside of the LIMIT, so that only its rows are.
  const bytes = sql<number>`octet_length(message) + octet_length(coalesce(attributes::text, ''))`;
  const before = sql`(order by time_micros desc, batch_id desc, idx desc rows unbounded preceding exclude current row)`;
  const measured = db
    .selectFrom(newest.as("newest"))
    .selectAll()
    .select([bytes.as("bytes"), sql<string>`coalesce(sum(${bytes}) over ${before}, 0)`.as("bytes_before")]);
  const rows = await db
    .selectFrom(measured.as("measured"))
    .selectAll()
    .where("bytes_before", "<=", String(pageBytesMax))
    .execute();
  return rows.map((row) => ({
    timeMicros: BigInt(row.time_micros),
    batchId: BigInt(row.batch_id),
    index: row.idx,
    batch: byId.get(row.batch_id) as WalkedBatch,
    bytes: row.bytes,
    severity: row.severity,
    logger: row.logger,
    message: row.message,
    attributes: row.attributes ?? {},
  }));
}

function lowest(a: bigint | undefined, b: bigint | undefined): bigint | undefined {
  if (a === undefined || b === undefined) return a ?? b;
  return a < b ? a : b;
}

/** At about 160 bytes a record this is 16 MB of a table that a step reads, some 50 ms. */
const stepRecordsMax = 100_000;
/** A page in hand is some times as large: as rows, as messages, as JSON. */
const pageBytesMax = 4 * 1024 * 1024;
