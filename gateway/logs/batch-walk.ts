import { type Kysely, type RawBuilder, sql } from "kysely";
import type { Database } from "#postgres/tables.ts";
import { selectMicros, timestamptz } from "../time.ts";
import { type ChosenDevices, findDevices } from "./find-devices.ts";
import type { LogFilter } from "./log-filter.ts";
import type { LogOrder } from "./log-order.ts";
import { allOf, batchConditions, type Condition } from "./record-conditions.ts";

/** A row of the ledger, as far as reading its records needs it. */
export interface WalkedBatch {
  readonly id: string;
  readonly device_id: string;
  readonly session_id: string;
  readonly sequence: string;
  readonly record_count: number;
  readonly received_micros: string;
  /** The end by which the walk meets it: its last time, or its first when the oldest come first. */
  readonly lead_micros: string;
}

/** Some batches, and the first place in the order that a record of any batch not yet walked can have. */
export interface WalkedChunk {
  readonly batches: readonly WalkedBatch[];
  /** None: all were walked. */
  readonly frontierMicros: bigint | undefined;
}

/**
 * Walks the batches that may hold matching records of the place `edgeMicros` or after it (undefined: any), so that
 * those come first that are first in the order. `recordsWanted` is asked before each chunk: it takes as few batches as
 * hold that many.
 *
 * Three stretches, each one walk along the b-tree on last_time; the oldest first, the same in the mirror, along
 * first_time:
 *
 *     time ──────────────── edge ──────────▶
 *     near         ├─────────┼──┤             begins before the edge, ends at most 10 min after it
 *     long    ├──────────────┼───────── … ┤   the same, and ends later: rare, devices whose clock jumped
 *     below     ├─────────┤  │                ends at or before the edge: newest end first
 *
 * Any batch across the edge may hold the very next record, so near and long are walked whole: the frontier stays at
 * the edge there. From then on it is the end of the next batch.
 */
export async function* walkBatches(
  db: Kysely<Database>,
  filter: LogFilter,
  order: LogOrder,
  edgeMicros: bigint | undefined,
  recordsWanted: () => number,
): AsyncGenerator<WalkedChunk> {
  const stretches = edgeMicros === undefined ? [wholeOf(order)] : stretchesAround(order, edgeMicros);
  const devices = await findDevices(db, filter);
  if (devices === "none") return;
  let batchesMax = Math.min(Math.max(firstBatchesMax, Math.ceil(recordsWanted() / 100)), lastBatchesMax);
  for (const stretch of stretches) {
    let after: WalkedBatch | undefined;
    for (;;) {
      const found = await selectBatches(db, { filter, devices, order, stretch, after, batchesMax });
      const batches = takeUntil(found, recordsWanted());
      const next = found[batches.length];
      const isStretchDone = next === undefined && found.length < batchesMax;
      const isDone = isStretchDone && stretch === stretches.at(-1);
      after = batches.at(-1);
      const isAcrossEdge = stretch.direction !== order.direction;
      const frontier = isAcrossEdge ? edgeMicros : (next ?? after)?.lead_micros;
      yield { batches, frontierMicros: isDone || frontier === undefined ? undefined : BigInt(frontier) };
      if (isStretchDone) break;
      if (next === undefined) batchesMax = Math.min(batchesMax * 4, lastBatchesMax);
    }
  }
}

interface Stretch {
  readonly direction: "asc" | "desc";
  readonly conditions: readonly Condition[];
}

function wholeOf(order: LogOrder): Stretch {
  return { direction: order.direction, conditions: [] };
}

function stretchesAround(order: LogOrder, edgeMicros: bigint): Stretch[] {
  const edge = timestamptz(edgeMicros);
  const near = sql`${edge} ${sql.raw(order.isOldestFirst ? "-" : "+")} interval '10 minutes'`;
  const lead = sql.ref(`batches.${order.lead}`);
  const rear = sql.ref(`batches.${order.rear}`);
  const isBefore = sql.raw(order.isBefore);
  const isNotBefore = sql.raw(`${order.isAfter}=`);
  const reaches: Condition = sql`${rear} ${isNotBefore} ${edge}`;
  return [
    {
      direction: order.reverse,
      conditions: [sql`${lead} ${isBefore} ${edge}`, sql`${lead} ${isNotBefore} ${near}`, reaches],
    },
    { direction: order.reverse, conditions: [sql`${lead} ${isBefore} ${near}`, reaches, isLong] },
    { direction: order.direction, conditions: [sql`${lead} ${isNotBefore} ${edge}`] },
  ];
}

/** Exactly the condition of the index batches_long. */
export const isLong: Condition = sql`batches.last_time - batches.first_time > interval '10 minutes'`;

interface Selection {
  readonly filter: LogFilter;
  readonly devices: ChosenDevices;
  readonly order: LogOrder;
  readonly stretch: Stretch;
  readonly after: WalkedBatch | undefined;
  readonly batchesMax: number;
}

/**
 * A device's batches are a range of one, ordered by: only the indexes that begin with device_key give that. With "="
 * the planner may walk all batches by time, the way in which they lie, past everyone else's to those of a device long
 * silent. The key of one device is written out, so that the planner knows how many batches it has; several devices
 * give as many batches each as are wanted of all.
 */
async function selectBatches(db: Kysely<Database>, selection: Selection): Promise<WalkedBatch[]> {
  const { devices, order, stretch, batchesMax } = selection;
  const where = allOf(conditionsOf(selection));
  const direction = sql.raw(stretch.direction);
  const byTime = sql`batches.${sql.ref(order.lead)} ${direction}, batches.id ${direction}`;
  const ofDevice = (key: RawBuilder<number>) => sql`(
    select * from batches
    where batches.device_key >= ${key} and batches.device_key <= ${key} and ${where}
    order by batches.device_key ${direction}, ${byTime}
    limit ${batchesMax}) as batches`;
  const [key] = devices.keys ?? [];
  let source = sql`(select * from batches where ${where} order by ${byTime} limit ${batchesMax}) as batches`;
  if (key !== undefined && devices.keys?.length === 1) source = ofDevice(sql`${key}::int`);
  else if (devices.keys !== undefined) {
    source = sql`unnest(${devices.keys}::int[]) as wanted (key) cross join lateral ${ofDevice(sql`wanted.key`)}`;
  }
  const { rows } = await sql<WalkedBatch>`
    select batches.id, devices.device_id, batches.session_id, batches.sequence, batches.record_count,
      ${selectMicros(sql.ref("batches.received_at"))} as received_micros,
      ${selectMicros(sql.ref(`batches.${order.lead}`))} as lead_micros
    from ${source} join devices on devices.key = batches.device_key
    order by ${byTime} limit ${batchesMax}`.execute(db);
  return rows;
}

function conditionsOf({ filter, devices, order, stretch, after }: Selection): Condition[] {
  const conditions = [...stretch.conditions, ...batchConditions(filter)];
  if (devices.excludedKeys.length > 0) {
    conditions.push(sql`batches.device_key <> all(${devices.excludedKeys}::int[])`);
  }
  const { startMicros, endMicros } = filter;
  if (startMicros !== undefined) conditions.push(sql`batches.last_time >= ${timestamptz(startMicros)}`);
  if (endMicros !== undefined) conditions.push(sql`batches.first_time < ${timestamptz(endMicros)}`);
  if (after !== undefined) {
    const lead = sql.ref(`batches.${order.lead}`);
    const last = timestamptz(BigInt(after.lead_micros));
    const isBeyond = stretch.direction === "asc" ? ">" : "<";
    conditions.push(sql`${lead} ${sql.raw(`${isBeyond}=`)} ${last}`);
    conditions.push(sql`(${lead}, batches.id) ${sql.raw(isBeyond)} (${last}, ${after.id}::int8)`);
  }
  return conditions;
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
