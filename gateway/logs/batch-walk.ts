import { type Kysely, type SelectQueryBuilder, sql } from "kysely";
import type { Database } from "#postgres/tables.ts";
import { selectMicros, timestamptz } from "../time.ts";
import { type LogFilter, severitiesFrom } from "./log-filter.ts";

/** A row of the ledger, as far as reading its records needs it. */
export interface WalkedBatch {
  readonly id: string;
  readonly device_id: string;
  readonly session_id: string;
  readonly sequence: string;
  readonly record_count: number;
  readonly received_micros: string;
  readonly last_micros: string;
}

/** Some batches, and the newest time that a record of any batch not yet walked can have; none: all were walked. */
export interface WalkedChunk {
  readonly batches: readonly WalkedBatch[];
  readonly frontierMicros: bigint | undefined;
}

/**
 * Walks the batches that may hold matching records of `highMicros` or earlier (undefined: any time), so that the
 * newest records come first. `recordsWanted` is asked before each chunk: it takes as few batches as hold that many.
 *
 * Three stretches, each one walk along the b-tree on last_time:
 *
 *     time ──────────────── high ──────────▶
 *     near         ├─────────┼──┤             begins before high, ends at most 10 min after it
 *     long    ├──────────────┼───────── … ┤   the same, and ends later: rare, devices whose clock jumped
 *     below     ├─────────┤  │                ends at or before high: newest end first
 *
 * Any batch across `high` may hold the very next record, so near and long are walked whole: the frontier stays at
 * `high` there. From then on it is the end of the next batch.
 */
export async function* walkBatches(
  db: Kysely<Database>,
  filter: LogFilter,
  highMicros: bigint | undefined,
  recordsWanted: () => number,
): AsyncGenerator<WalkedChunk> {
  const stretches = highMicros === undefined ? [everything] : stretchesAround(highMicros);
  const deviceKey = await findDevice(db, filter.deviceId);
  if (deviceKey === "unknown") return;
  let batchesMax = firstBatchesMax;
  for (const stretch of stretches) {
    let after: WalkedBatch | undefined;
    for (;;) {
      const found = await selectBatches(db, { filter, deviceKey, stretch, after, batchesMax });
      const batches = takeUntil(found, recordsWanted());
      const next = found[batches.length];
      const isStretchDone = next === undefined && found.length < batchesMax;
      const isDone = isStretchDone && stretch === stretches.at(-1);
      after = batches.at(-1);
      const frontier = stretch.order === "desc" ? (next ?? after)?.last_micros : highMicros;
      yield { batches, frontierMicros: isDone || frontier === undefined ? undefined : BigInt(frontier) };
      if (isStretchDone) break;
      if (next === undefined) batchesMax = Math.min(batchesMax * 4, lastBatchesMax);
    }
  }
}

interface Stretch {
  readonly order: "asc" | "desc";
  readonly where: (query: BatchQuery) => BatchQuery;
}

const everything: Stretch = { order: "desc", where: (query) => query };

type BatchQuery = SelectQueryBuilder<Database, "batches" | "devices", object>;

function stretchesAround(highMicros: bigint): Stretch[] {
  const high = timestamptz(highMicros);
  const near = sql<Date>`${high} + interval '10 minutes'`;
  const isLong = sql<boolean>`batches.last_time - batches.first_time > interval '10 minutes'`;
  return [
    {
      order: "asc",
      where: (query) =>
        query
          .where("batches.last_time", ">", high)
          .where("batches.last_time", "<=", near)
          .where("batches.first_time", "<=", high),
    },
    {
      order: "asc",
      where: (query) =>
        query.where("batches.last_time", ">", near).where("batches.first_time", "<=", high).where(isLong),
    },
    { order: "desc", where: (query) => query.where("batches.last_time", "<=", high) },
  ];
}

/**
 * The key of the device, if one is asked for. A statement of its own, because with the key itself the planner knows
 * how many batches this device has; with a subselect it reads all batches of a busy one and sorts them.
 */
async function findDevice(db: Kysely<Database>, deviceId?: string): Promise<number | undefined | "unknown"> {
  if (deviceId === undefined) return undefined;
  const row = await db
    .selectFrom("devices")
    .select("key")
    .where("device_id", "=", deviceId)
    .executeTakeFirst();
  return row?.key ?? "unknown";
}

interface Selection {
  readonly filter: LogFilter;
  readonly deviceKey: number | undefined;
  readonly stretch: Stretch;
  readonly after: WalkedBatch | undefined;
  readonly batchesMax: number;
}

async function selectBatches(
  db: Kysely<Database>,
  { filter, deviceKey, stretch, after, batchesMax }: Selection,
): Promise<WalkedBatch[]> {
  let query: BatchQuery = db.selectFrom("batches").innerJoin("devices", "devices.key", "batches.device_key");
  query = stretch.where(query);
  if (deviceKey !== undefined) {
    // A range of one, ordered by: only the index (device_key, last_time) gives that. With "=" the planner may walk
    // all batches by time, the way in which they lie, past everyone else's to those of a device long silent.
    query = query
      .where("batches.device_key", ">=", deviceKey)
      .where("batches.device_key", "<=", deviceKey)
      .orderBy("batches.device_key", stretch.order);
  }
  if (filter.startMicros !== undefined) {
    query = query.where("batches.last_time", ">=", timestamptz(filter.startMicros));
  }
  if (filter.minSeverity > 0) {
    query = query.where(sql<boolean>`batches.severities & ${severitiesFrom(filter.minSeverity)} <> 0`);
  }
  if (after !== undefined) {
    const last = timestamptz(BigInt(after.last_micros));
    const isBeyond = stretch.order === "asc" ? sql`>` : sql`<`;
    query = query
      .where("batches.last_time", stretch.order === "asc" ? ">=" : "<=", last)
      .where(sql<boolean>`(batches.last_time, batches.id) ${isBeyond} (${last}, ${after.id}::int8)`);
  }
  return await query
    .select(["batches.id", "devices.device_id", "batches.session_id", "batches.sequence"])
    .select("batches.record_count")
    .select((row) => [
      selectMicros(row.ref("batches.received_at")).as("received_micros"),
      selectMicros(row.ref("batches.last_time")).as("last_micros"),
    ])
    .orderBy("batches.last_time", stretch.order)
    .orderBy("batches.id", stretch.order)
    .limit(batchesMax)
    .execute();
}

/** The first batches that together hold `records` records; at least one, if there is one. */
function takeUntil(found: readonly WalkedBatch[], records: number): readonly WalkedBatch[] {
  let sum = 0;
  for (const [index, batch] of found.entries()) {
    sum += batch.record_count;
    if (sum >= records) return found.slice(0, index + 1);
  }
  return found;
}

const firstBatchesMax = 64;
const lastBatchesMax = 4096;
