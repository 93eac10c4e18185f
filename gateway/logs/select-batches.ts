import { type Kysely, type RawBuilder, sql } from "kysely";
import type { Database } from "#postgres/tables.ts";
import { selectMicros, timestamptz } from "../time.ts";
import type { ChosenDevices } from "./find-devices.ts";
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

/** What the batches of a walk have in common. */
export interface Wanted {
  readonly filter: LogFilter;
  readonly devices: ChosenDevices;
  readonly order: LogOrder;
}

/** The next batches of a walk. */
export interface Selection extends Wanted {
  readonly direction: "asc" | "desc";
  readonly conditions: readonly Condition[];
  readonly after: WalkedBatch | undefined;
  readonly batchesMax: number;
  /** Batches with these ids are left out. Rising, and apart from each other. */
  readonly except: readonly IdRange[];
}

/** From `firstId`, below `endId`. */
export interface IdRange {
  readonly firstId: bigint;
  readonly endId: bigint;
}

/**
 * A device's batches are a range of one, ordered by: only the indexes that begin with device_key give that. With "="
 * the planner may walk all batches by time, the way in which they lie, past everyone else's to those of a device long
 * silent. The key of one device is written out, so that the planner knows how many batches it has; several devices
 * give as many batches each as are wanted of all.
 *
 * What is left out of all devices' batches leaves a walk for each gap: every one of them finds its ids within the index
 * by time. As one condition with OR, the row of each batch that is left out would be looked at.
 */
export async function selectBatches(db: Kysely<Database>, selection: Selection): Promise<WalkedBatch[]> {
  const { devices, order, direction: directionWord, batchesMax, except } = selection;
  const conditions = conditionsOf(selection);
  const direction = sql.raw(directionWord);
  const byTime = sql`batches.${sql.ref(order.lead)} ${direction}, batches.id ${direction}`;
  const ofDevice = (key: RawBuilder<number>) => sql`(
    select * from batches
    where batches.device_key >= ${key} and batches.device_key <= ${key}
      and ${allOf([...conditions, ...except.map((range) => sql<boolean>`not ${isWithin(range)}`)])}
    order by batches.device_key ${direction}, ${byTime}
    limit ${batchesMax}) as batches`;
  const walk = (gap: readonly Condition[]) => sql`(
    select * from batches where ${allOf([...conditions, ...gap])} order by ${byTime} limit ${batchesMax})`;
  const [key] = devices.keys ?? [];
  let source = sql`(${sql.join(gapsBetween(except).map(walk), sql` union all `)}) as batches`;
  if (key !== undefined && devices.keys?.length === 1) source = ofDevice(sql`${key}::int`);
  else if (devices.keys !== undefined) {
    source = sql`unnest(${devices.keys}::int[]) as wanted (key) cross join lateral ${ofDevice(sql`wanted.key`)}`;
  }
  const { rows } = await sql<WalkedBatch>`
    select ${walkedColumns(order)}
    from ${source} join devices on devices.key = batches.device_key
    order by ${byTime} limit ${batchesMax}`.execute(db);
  return rows;
}

/** Those of the batches `ids` that are wanted, in any order. */
export async function selectBatchesOf(
  db: Kysely<Database>,
  wanted: Wanted,
  ids: readonly string[],
): Promise<readonly WalkedBatch[]> {
  if (ids.length === 0) return [];
  const { keys } = wanted.devices;
  const conditions = wantedConditions(wanted);
  if (keys !== undefined) conditions.push(sql`batches.device_key = any(${keys}::int[])`);
  const { rows } = await sql<WalkedBatch>`
    select ${walkedColumns(wanted.order)}
    from batches join devices on devices.key = batches.device_key
    where batches.id = any(${ids}::int8[]) and ${allOf(conditions)}`.execute(db);
  return rows;
}

function walkedColumns(order: LogOrder): RawBuilder<unknown> {
  return sql`batches.id, devices.device_id, batches.session_id, batches.sequence, batches.record_count,
    ${selectMicros(sql.ref("batches.received_at"))} as received_micros,
    ${selectMicros(sql.ref(`batches.${order.lead}`))} as lead_micros`;
}

function wantedConditions({ filter, devices }: Wanted): Condition[] {
  const conditions = batchConditions(filter);
  if (devices.excludedKeys.length > 0) {
    conditions.push(sql`batches.device_key <> all(${devices.excludedKeys}::int[])`);
  }
  const { startMicros, endMicros } = filter;
  if (startMicros !== undefined) conditions.push(sql`batches.last_time >= ${timestamptz(startMicros)}`);
  if (endMicros !== undefined) conditions.push(sql`batches.first_time < ${timestamptz(endMicros)}`);
  return conditions;
}

function conditionsOf(selection: Selection): Condition[] {
  const { order, direction, after } = selection;
  const conditions = [...selection.conditions, ...wantedConditions(selection)];
  if (after !== undefined) {
    const lead = sql.ref(`batches.${order.lead}`);
    const last = timestamptz(BigInt(after.lead_micros));
    const isBeyond = direction === "asc" ? ">" : "<";
    conditions.push(sql`${lead} ${sql.raw(`${isBeyond}=`)} ${last}`);
    conditions.push(sql`(${lead}, batches.id) ${sql.raw(isBeyond)} (${last}, ${after.id}::int8)`);
  }
  return conditions;
}

/** The conditions of each stretch of ids that is in none of the ranges. */
function gapsBetween(ranges: readonly IdRange[]): readonly (readonly Condition[])[] {
  return Array.from({ length: ranges.length + 1 }, (_, index) => {
    const gap: Condition[] = [];
    const [below, above] = [ranges[index - 1], ranges[index]];
    if (below !== undefined) gap.push(sql`batches.id >= ${String(below.endId)}::int8`);
    if (above !== undefined) gap.push(sql`batches.id < ${String(above.firstId)}::int8`);
    return gap;
  });
}

function isWithin({ firstId, endId }: IdRange): Condition {
  return sql`(batches.id >= ${String(firstId)}::int8 and batches.id < ${String(endId)}::int8)`;
}
