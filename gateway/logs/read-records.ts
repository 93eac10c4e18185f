import { type Kysely, sql } from "kysely";
import type { Database } from "#postgres/tables.ts";
import { selectMicros, timestamptz } from "../time.ts";
import type { WalkedBatch } from "./batch-walk.ts";
import { containsText, type LogFilter, type LogPosition } from "./log-filter.ts";

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

/** Where to look inside the chosen batches. */
export interface Window {
  readonly highMicros: bigint | undefined;
  readonly after: LogPosition | undefined;
  /** The oldest record already held when no more are needed: only newer ones can take its place. */
  readonly oldest: LogPosition | undefined;
  readonly limit: number;
}

/** The first `limit` matching records of `batches` inside of `window`, newest first; fewer when they are large. */
export async function readRecords(
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

/** Of messages and attributes. A page in hand is some times as large: as rows, as a message, as JSON. */
export const pageBytesMax = 4 * 1024 * 1024;
