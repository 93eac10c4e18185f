import { type RawBuilder, sql } from "kysely";
import { plainArray } from "#postgres/array-literal.ts";
import { selectMicros, timestamptz } from "../fields/time.ts";
import { allOf, type Condition } from "../query/conditions.ts";
import type { ReadDatabase } from "../query/read-database.ts";
import { selectAttributes } from "./attributes.ts";
import { batchConditions } from "./batch-conditions.ts";
import type { ChosenDevices } from "./find-devices.ts";
import type { LogFilter } from "./log-filter.ts";
import type { LogOrder } from "./log-order.ts";

/** The columns of the ledger that reading its records needs. */
export interface WalkedBatch {
  readonly id: string;
  readonly device_id: string;
  readonly session_id: string;
  readonly sequence: string;
  readonly record_count: number;
  /** Bit s is set when a record has severity s. */
  readonly severities: number;
  readonly first_micros: string;
  readonly last_micros: string;
  readonly received_micros: string;
  /** For parseAttributes. */
  readonly attributes: string | null;
  /** The end by which the walk meets it: its last time, or its first when the oldest come first. */
  readonly lead_micros: string;
}

/** The batches of a walk. */
export interface Wanted {
  readonly filter: LogFilter;
  readonly devices: ChosenDevices;
  readonly order: LogOrder;
  /** Higher ids are excluded. */
  readonly batchIdMax: bigint | undefined;
  /** Only one of this many batches is included, always the same ones. */
  readonly sampleDivisor?: number | undefined;
}

/** A part of a walk: batches of certain times, by their lead. */
export interface WalkPart {
  readonly direction: "asc" | "desc";
  readonly conditions: readonly Condition[];
}

/** The next batches of each part. */
export interface Selection extends Wanted {
  readonly parts: readonly WalkPart[];
  readonly after: WalkedBatch | undefined;
  /** For each part. */
  readonly batchesMax: number;
  readonly skipped: SkippedIds;
}

/** Ids of batches that are excluded: those of `ids`, but for those of `but`. Each ascending and disjoint. */
export interface SkippedIds {
  readonly ids: readonly IdRange[];
  readonly but: readonly IdRange[];
}

/** From `firstId`, below `endId`. */
export interface IdRange {
  readonly firstId: bigint;
  readonly endId: bigint;
}

/**
 * The next batches of each part in its direction, by one statement: for a page of one device the round trip is
 * most of the time.
 *
 * A device's batches are selected as a range of one key, ordered by it: only the indexes that begin with
 * device_key provide that. With "=" the planner may walk all batches by time, past those of every other device,
 * to those of a device that has long been silent. Each of several devices returns up to the limit of all.
 *
 * Without devices, excluded ids split the walk at each range: every part finds its ids within the index by
 * time. As one condition with OR, the row of each excluded batch would be read. Those that are included nevertheless are
 * found by their ids.
 */
export async function selectBatches(db: ReadDatabase, selection: Selection): Promise<WalkedBatch[][]> {
  const { parts, skipped } = selection;
  const selects = parts.map((part, index) => selectPart(selection, part, index));
  const statement = sql<WalkedBatch & { part: number }>`${sql.join(selects, sql` union all `)}`;
  // With any number of skipped ranges there are too many texts, and no plan for all of them.
  const isPrepared = skipped.ids.length === 0;
  const rows = isPrepared ? await db.prepared(statement) : (await statement.execute(db)).rows;
  return parts.map(({ direction }, index) => {
    const compare = compareBatches(direction);
    return rows.filter(({ part }) => part === index).sort(compare);
  });
}

function selectPart(selection: Selection, part: WalkPart, index: number): RawBuilder<unknown> {
  const { devices, order, batchesMax, skipped } = selection;
  const conditions = partConditions(selection, part);
  const direction = sql.raw(part.direction);
  const byTime = sql`batches.${sql.ref(order.lead)} ${direction}, batches.id ${direction}`;
  const ofDevice = (key: RawBuilder<number>) => sql`(
    select * from batches
    where batches.device_key >= ${key} and batches.device_key <= ${key}
      and ${allOf([...conditions, ...(skipped.ids.length === 0 ? [] : [isNotSkipped(skipped)])])}
    order by batches.device_key ${direction}, ${byTime}
    limit ${batchesMax}) as batches`;
  const walk = (gap: readonly Condition[]) => sql`(
    select * from batches where ${allOf([...conditions, ...gap])} order by ${byTime} limit ${batchesMax})`;
  const [key] = devices.keys ?? [];
  const walks = gapsBetween(skipped.ids).map(walk);
  if (skipped.but.length > 0) walks.push(byId(skipped, conditions));
  let source = sql`(${sql.join(walks, sql` union all `)}) as batches`;
  if (key !== undefined && devices.keys?.length === 1) source = ofDevice(sql`${key}::int`);
  else if (devices.keys !== undefined) {
    source = sql`unnest(${devices.keys}::int[]) as wanted (key) cross join lateral ${ofDevice(sql`wanted.key`)}`;
  }
  return sql`(
    select ${sql.lit(index)}::int as part, ${walkedColumns(order)}
    from ${source} join devices on devices.key = batches.device_key and ${isNamed(selection)}
    order by ${byTime} limit ${batchesMax})`;
}

/** Keys are cached for a while: after the database was replaced by another, they must return nothing. */
function isNamed({ filter }: Wanted): Condition {
  return filter.deviceIds.length === 0
    ? sql`true`
    : sql`devices.device_id = any(${filter.deviceIds}::text[])`;
}

/** By lead, then by id, in the order of a walk. */
function compareBatches(direction: WalkPart["direction"]): (a: WalkedBatch, b: WalkedBatch) => number {
  return direction === "asc" ? ascending : (a, b) => ascending(b, a);
}

function ascending(a: WalkedBatch, b: WalkedBatch): number {
  const later = BigInt(a.lead_micros) - BigInt(b.lead_micros) || BigInt(a.id) - BigInt(b.id);
  return later === 0n ? 0 : later < 0n ? -1 : 1;
}

function walkedColumns(order: LogOrder): RawBuilder<unknown> {
  return sql`batches.id, devices.device_id, batches.session_id, batches.sequence, batches.record_count, batches.severities,
    ${selectMicros(sql.ref("batches.first_time"))} as first_micros,
    ${selectMicros(sql.ref("batches.last_time"))} as last_micros,
    ${selectMicros(sql.ref("batches.received_at"))} as received_micros,
    ${selectAttributes(sql`batches.attributes`)} as attributes,
    ${selectMicros(sql.ref(`batches.${order.lead}`))} as lead_micros`;
}

function wantedConditions({ filter, devices, batchIdMax, sampleDivisor = 1 }: Wanted): Condition[] {
  const conditions = batchConditions(filter);
  if (devices.excludedKeys.length > 0) {
    conditions.push(sql`batches.device_key <> all(${devices.excludedKeys}::int[])`);
  }
  if (batchIdMax !== undefined) conditions.push(sql`batches.id <= ${String(batchIdMax)}::int8`);
  if (sampleDivisor > 1) {
    conditions.push(sql`abs(hashint8(batches.id)::int8) % ${sampleDivisor}::int8 = 0`);
  }
  return conditions;
}

function partConditions(selection: Selection, part: WalkPart): Condition[] {
  const { order, after } = selection;
  const conditions = [...part.conditions, ...wantedConditions(selection)];
  if (after !== undefined) {
    const lead = sql.ref(`batches.${order.lead}`);
    const last = timestamptz(BigInt(after.lead_micros));
    const isBeyond = part.direction === "asc" ? ">" : "<";
    conditions.push(sql`${lead} ${sql.raw(`${isBeyond}=`)} ${last}`);
    conditions.push(sql`(${lead}, batches.id) ${sql.raw(isBeyond)} (${last}, ${after.id}::int8)`);
  }
  return conditions;
}

/** The conditions of each gap between the ranges of ids. */
function gapsBetween(ranges: readonly IdRange[]): readonly (readonly Condition[])[] {
  return Array.from({ length: ranges.length + 1 }, (_, index) => {
    const gap: Condition[] = [];
    const [below, above] = [ranges[index - 1], ranges[index]];
    if (below !== undefined) gap.push(sql`batches.id >= ${String(below.endId)}::int8`);
    if (above !== undefined) gap.push(sql`batches.id < ${String(above.firstId)}::int8`);
    return gap;
  });
}

/** Those that are not skipped although they are among `ids`. OFFSET 0: the planner would walk all by time for each range. */
function byId({ ids, but }: SkippedIds, conditions: readonly Condition[]): RawBuilder<unknown> {
  return sql`(
    select batches.*
    from unnest(
      ${plainArray(but.map(({ firstId }) => firstId))}::int8[],
      ${plainArray(but.map(({ endId }) => endId))}::int8[]
    ) as range (first_id, end_id)
    cross join lateral (
      select * from batches where id >= range.first_id and id < range.end_id offset 0) as batches
    where ${allOf([sql`batches.id <@ ${multirange(ids)}`, ...conditions])})`;
}

function isNotSkipped({ ids, but }: SkippedIds): Condition {
  return sql`not batches.id <@ (${multirange(ids)} - ${multirange(but)})`;
}

function multirange(ranges: readonly IdRange[]): RawBuilder<unknown> {
  return sql`${`{${ranges.map(({ firstId, endId }) => `[${firstId},${endId})`).join()}}`}::int8multirange`;
}
