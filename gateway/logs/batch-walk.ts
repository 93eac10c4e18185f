import { type Kysely, sql } from "kysely";
import type { Database } from "#postgres/tables.ts";
import { ExpensiveQueryError } from "../fairness/semaphore.ts";
import { timestamptz } from "../fields/time.ts";
import { type DeviceKeys, findDevices } from "./find-devices.ts";
import { IndexedDays } from "./indexed-days.ts";
import type { LogFilter } from "./log-filter.ts";
import type { LogOrder } from "./log-order.ts";
import type { Condition } from "./record-conditions.ts";
import { type Stretch, selectBatches, type WalkedBatch } from "./select-batches.ts";

export interface WalkOptions {
  /** After so many records the indexes of closed days are asked; never, unless given. */
  readonly walkedRecordsMax?: number;
  readonly matchesMax?: number;
  /** False: throws a TurnNeededError where a cheap query would become an expensive one. */
  readonly hasTurn?: boolean;
  /** Not given: the devices of the filter are looked up. */
  readonly deviceKeys?: DeviceKeys;
  readonly batchIdMax?: bigint | undefined;
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
 * the edge there. From then on it is the end of the next batch. The first batches of all three come by one statement, and
 * as those across the edge are seldom many, as one chunk.
 *
 * In the last stretch, after `walkedRecordsMax` records, the indexes of closed days are asked which batches matter at
 * all ({@link IndexedDays}); from then on no chunk goes beyond the end of a day that was not asked.
 */
export async function* walkBatches(
  db: Kysely<Database>,
  filter: LogFilter,
  order: LogOrder,
  edgeMicros: bigint | undefined,
  recordsWanted: () => number,
  {
    walkedRecordsMax = Number.POSITIVE_INFINITY,
    matchesMax,
    hasTurn = true,
    deviceKeys,
    batchIdMax,
  }: WalkOptions = {},
): AsyncGenerator<WalkedChunk> {
  const devices = await findDevices(db, filter, deviceKeys);
  if (devices === "none") return;
  const wanted = { filter, devices, order, batchIdMax };
  const days = new IndexedDays(db, wanted, matchesMax);
  const stretches = edgeMicros === undefined ? [wholeOf(order)] : stretchesAround(order, edgeMicros);
  let batchesMax = Math.min(Math.max(firstBatchesMax, Math.ceil(recordsWanted() / 100)), lastBatchesMax);
  const firstMax = batchesMax;
  const firsts = await selectBatches(db, {
    ...wanted,
    stretches,
    after: undefined,
    batchesMax: firstMax,
    except: [],
  });
  // Of a device with a clock that jumps there may be very many: 100,000 take seconds.
  const long = stretches.length > 1 ? firsts[1] : undefined;
  if (!hasTurn && long?.length === firstMax)
    throw new ExpensiveQueryError("many long batches lie across the edge");
  let acrossEdge: readonly WalkedBatch[] = [];
  let walkedRecords = 0;
  for (const [index, stretch] of stretches.entries()) {
    const isLast = index === stretches.length - 1;
    let first = firsts[index];
    let after: WalkedBatch | undefined;
    for (;;) {
      if (isLast && after !== undefined && walkedRecords >= walkedRecordsMax) {
        await days.coverDaysAt(BigInt(after.lead_micros));
      }
      const selection = { ...wanted, stretches: [stretch], after, batchesMax, except: days.covered };
      const walked = first ?? (await selectBatches(db, selection)).flat();
      const isWalkedOut = walked.length < (first === undefined ? batchesMax : firstMax);
      first = undefined;
      const found = days.addKnown(walked, after, isWalkedOut);
      const isAhead = ({ lead_micros }: WalkedBatch) => days.isAhead(BigInt(lead_micros));
      if (found[0] !== undefined && isAhead(found[0])) {
        await days.coverDaysAt(BigInt(found[0].lead_micros));
        continue;
      }
      const records = isLast ? recordsWanted() : Math.max(recordsWanted(), acrossRecordsMin);
      const batches = takeUntil(found, records, isAhead);
      const next = found[batches.length];
      const isStretchDone = next === undefined && isWalkedOut;
      after = batches.at(-1) ?? after;
      walkedRecords += batches.reduce((sum, batch) => sum + batch.record_count, 0);
      if (isStretchDone && !isLast) {
        acrossEdge = [...acrossEdge, ...batches];
        break;
      }
      const frontier = isLast ? (next ?? after)?.lead_micros : edgeMicros;
      const isDone = isStretchDone || frontier === undefined;
      yield { batches: [...acrossEdge, ...batches], frontierMicros: isDone ? undefined : BigInt(frontier) };
      acrossEdge = [];
      if (isStretchDone) break;
      if (next === undefined) batchesMax = Math.min(batchesMax * 4, lastBatchesMax);
    }
  }
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

/** The first batches that together hold `records` records, at least one if there is one, and none from one that `isEnd`. */
function takeUntil(
  found: readonly WalkedBatch[],
  records: number,
  isEnd: (batch: WalkedBatch) => boolean,
): readonly WalkedBatch[] {
  let sum = 0;
  for (const [index, batch] of found.entries()) {
    if (isEnd(batch)) return found.slice(0, index);
    sum += batch.record_count;
    if (sum >= records) return found.slice(0, index + 1);
  }
  return found;
}

/** Batches across the edge are all read whatever is wanted: at least so many records of them at once, some 5 ms. */
const acrossRecordsMin = 10_000;
const firstBatchesMax = 64;
const lastBatchesMax = 4096;
