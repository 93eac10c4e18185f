import { sql } from "kysely";
import type { SearchTerms } from "#search/search-terms.ts";
import { ExpensiveQueryError } from "../fairness/semaphore.ts";
import { timestamptz } from "../fields/time.ts";
import type { Condition } from "../query/conditions.ts";
import type { ReadDatabase } from "../query/read-database.ts";
import { droppedIds } from "./dropped-days.ts";
import { type DeviceKeys, findDevices } from "./find-devices.ts";
import type { LogFilter } from "./log-filter.ts";
import type { LogOrder } from "./log-order.ts";
import { batchesReadMax, PartCursor } from "./part-cursor.ts";
import type { SkippedIds, WalkedBatch, WalkPart } from "./select-batches.ts";
import { findRuledOut, searchTermsFor, unite } from "./skipped-batches.ts";

/** Which batches are walked, and how. */
export interface Walk {
  readonly filter: LogFilter;
  readonly order: LogOrder;
  /** Records at or after this time in the order are wanted; undefined: any. */
  readonly edgeMicros: bigint | undefined;
  /** Called before each chunk, which contains as few batches as hold this many records. */
  readonly recordsWanted: () => number;
  /**
   * After this many records the walk looks up which days were dropped, to skip their batches; default: never. With a text
   * or another term to search for it looks earlier, also for what search summaries rule out.
   */
  readonly walkedRecordsMax?: number;
  /** False: throws an ExpensiveQueryError instead of becoming expensive. */
  readonly hasPermit?: boolean;
  /** Default: the devices of the filter are looked up. */
  readonly deviceKeys?: DeviceKeys;
  readonly batchIdMax?: bigint | undefined;
  /** Only one of this many batches is walked. Default: all. */
  readonly sampleDivisor?: number;
}

/** Some batches, and the first time in the order that a record of an unwalked batch can have. */
export interface WalkedChunk {
  readonly batches: readonly WalkedBatch[];
  /** Undefined: all batches were walked. */
  readonly frontierMicros: bigint | undefined;
}

/**
 * Walks the batches that may hold matching records of the place `edgeMicros` or after it, so that those come first that
 * are first in the order.
 *
 * Three parts, each one walk along the b-tree on last_time; the oldest first, the same in the mirror, along first_time:
 *
 *     time ──────────────── edge ──────────▶
 *     near         ├─────────┼──┤             begins before the edge, ends at most 10 min after it
 *     long    ├──────────────┼───────── … ┤   the same, and ends later: rare, devices whose clock jumped
 *     below     ├─────────┤  │                ends at or before the edge: newest end first
 *
 * Any batch across the edge may hold the very next record, so near and long are walked whole before below. Their first
 * batches come by one statement, and as those across the edge are seldom many, as one chunk.
 */
export async function* walkBatches(db: ReadDatabase, walk: Walk): AsyncGenerator<WalkedChunk> {
  const { filter, order, edgeMicros, recordsWanted, hasPermit = true, batchIdMax, sampleDivisor } = walk;
  const devices = await findDevices(db, filter, walk.deviceKeys);
  if (devices === "none") return;
  const wanted = { filter, devices, order, batchIdMax, sampleDivisor };
  const terms = searchTermsFor(filter);
  // With terms the first batches seldom are all that is needed.
  const recordsFirst = terms.isEmpty ? recordsWanted() : 0;
  const batchesMax = Math.min(Math.max(firstBatchesMin, Math.ceil(recordsFirst / 100)), batchesReadMax);
  const cursors = await PartCursor.open(db, wanted, partsAround(order, edgeMicros), batchesMax);
  const below = cursors.pop() as PartCursor; // every walk has it
  const [, long] = cursors;
  // A device whose clock jumps may have very many: 100,000 take seconds.
  if (!hasPermit && long?.mayHaveMore)
    throw new ExpensiveQueryError("many long batches overlap the page boundary");
  let held: readonly WalkedBatch[] = [];
  for (const across of cursors) held = yield* walkWhole(across, held, walk);
  const recordsAcross = cursors.reduce((sum, { recordsPassed }) => sum + recordsPassed, 0);
  const { walkedRecordsMax = Number.POSITIVE_INFINITY } = walk;
  const recordsMax = Math.min(
    walkedRecordsMax,
    terms.isEmpty ? Number.POSITIVE_INFINITY : narrowedRecordsMax,
  );
  yield* walkBelow(below, held, {
    recordsWanted,
    recordsMax: recordsMax - recordsAcross,
    findSkipped: () => findSkipped(db, filter, terms),
  });
}

/**
 * Walks a part across the edge to its end; until then the frontier stays at the edge. Returns the batches for
 * the next chunk: all, unless they are many.
 */
async function* walkWhole(
  cursor: PartCursor,
  heldBefore: readonly WalkedBatch[],
  { recordsWanted, edgeMicros }: Walk,
): AsyncGenerator<WalkedChunk, readonly WalkedBatch[]> {
  let held = heldBefore;
  for (;;) {
    const { batches: found, isEnd } = await cursor.read();
    const batches = takeUntil(found, Math.max(recordsWanted(), acrossRecordsMin));
    cursor.pass(batches, found);
    held = [...held, ...batches];
    if (isEnd && batches.length === found.length) return held;
    yield { batches: held, frontierMicros: edgeMicros };
    held = [];
  }
}

interface Below {
  readonly recordsWanted: () => number;
  readonly recordsMax: number;
  readonly findSkipped: () => Promise<SkippedIds>;
}

/**
 * Walks the part below the edge; the frontier is the next batch. Before it passes `recordsMax` records it looks up which
 * batches have none that match.
 */
async function* walkBelow(
  cursor: PartCursor,
  heldBefore: readonly WalkedBatch[],
  { recordsWanted, recordsMax, findSkipped }: Below,
): AsyncGenerator<WalkedChunk> {
  let held = heldBefore;
  let skipped: SkippedIds | undefined;
  for (;;) {
    if (cursor.recordsPassed + recordsWanted() > recordsMax) skipped ??= await findSkipped();
    const { batches: found, isEnd } = await cursor.read(skipped);
    // Few are left when some were chosen by their ids.
    const recordsMin = skipped?.but.length ? chosenRecordsMin : 0;
    const batches = takeUntil(found, Math.max(recordsWanted(), recordsMin));
    cursor.pass(batches, found);
    const next = found[batches.length] ?? (isEnd ? undefined : cursor.after);
    yield { batches: [...held, ...batches], frontierMicros: next && BigInt(next.lead_micros) };
    if (next === undefined) return;
    held = [];
  }
}

/** The batches of dropped days, and those that search summaries rule out. */
async function findSkipped(db: ReadDatabase, filter: LogFilter, terms: SearchTerms): Promise<SkippedIds> {
  const dropped = await droppedIds(db);
  if (terms.isEmpty) return { ids: dropped, but: [] };
  const { ids, but } = await findRuledOut(db, filter, terms);
  return { ids: unite([...dropped, ...ids]), but };
}

/** Near, long and below; without an edge only below, which is then everything. */
function partsAround(order: LogOrder, edgeMicros: bigint | undefined): WalkPart[] {
  if (edgeMicros === undefined) return [{ direction: order.direction, conditions: [] }];
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

/** The first batches that together hold `records` records, at least one if there is one. */
function takeUntil(found: readonly WalkedBatch[], records: number): readonly WalkedBatch[] {
  let sum = 0;
  for (const [index, batch] of found.entries()) {
    sum += batch.record_count;
    if (sum >= records) return found.slice(0, index + 1);
  }
  return found;
}

/** Batches across the edge are all read in any case: at least this many records of them at once, about 5 ms. */
const acrossRecordsMin = 10_000;
const chosenRecordsMin = 25_000;
const firstBatchesMin = 64;
/** Small, for a lookup in search summaries takes as long as some thousand records, and a text that is not rare fills a page before. */
const narrowedRecordsMax = 500;
