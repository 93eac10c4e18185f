import { type Kysely, sql } from "kysely";
import { type DayPartition, listDayPartitions } from "#postgres/day-partitions.ts";
import { dayMs } from "#postgres/partitions.ts";
import type { Database } from "#postgres/tables.ts";
import type { AttributeCondition, LogFilter } from "./log-filter.ts";
import {
  allOf,
  amongBatches,
  batchHasAttribute,
  type Condition,
  indexesFor,
  type OfBatches,
  recordConditions,
} from "./record-conditions.ts";
import {
  compareBatches,
  type IdRange,
  selectBatchesById,
  type WalkedBatch,
  type Wanted,
} from "./select-batches.ts";

/**
 * Skips closed days for a walk that finds nothing: their indexes return the batches with a matching record, so the
 * other batches of these days need not be walked.
 *
 *     walked one by one:    today, days without an index, and all other days that are not covered yet
 *     covered:              days that the walk has reached, whose matching batches are known and wait to be merged
 *     skipped:              days that were dropped, which the ledger still lists
 *
 * Days are of reception, the walk is by the times of records. Both work together: a late batch, or one of a clock
 * that is ahead, is walked like any other until its day is covered, and is then one of the known batches.
 */
export class IndexedDays {
  readonly #db: Kysely<Database>;
  readonly #wanted: Wanted;
  readonly #matchesMax: number;
  /** The days that are not covered yet, in the order of the walk. */
  #ahead: DayPartition[] | undefined;
  #daysPerLook = 1;
  readonly #covered: IdRange[] = [];
  #waiting: WalkedBatch[] = [];

  constructor(db: Kysely<Database>, wanted: Wanted, matchesMax = matchesMaxDefault) {
    this.#db = db;
    this.#wanted = wanted;
    this.#matchesMax = matchesMax;
  }

  /** Ids that need not be walked. */
  get covered(): readonly IdRange[] {
    return joined(this.#covered);
  }

  /**
   * Looks up matches in the indexes of the days that a walk at `micros` has reached, and of more days each
   * time. Days with very many matching records are left to the walk, which then fills pages quickly.
   */
  async coverDaysAt(micros: bigint): Promise<void> {
    this.#ahead ??= await this.#listDays(Number(micros / 1000n));
    while (this.isAhead(micros)) {
      const reached = this.#ahead.filter((day) => this.#isReached(day, micros)).length;
      const days = this.#ahead.splice(0, Math.max(reached, this.#daysPerLook));
      const ids = await this.#lookUp(days);
      if (ids === "many") continue;
      this.#waiting.push(...(await selectBatchesById(this.#db, this.#wanted, ids)));
      this.#covered.push(...days);
      this.#daysPerLook = Math.min(this.#daysPerLook * 2, daysPerLookMax);
    }
  }

  /** Whether `micros` is in a day that a lookup could cover, or beyond it: the walk should not go there before. */
  isAhead(micros: bigint): boolean {
    const day = this.#ahead?.[0];
    return day !== undefined && this.#isReached(day, micros);
  }

  #isReached({ startMs, endMs }: DayPartition, micros: bigint): boolean {
    const ms = Number(micros / 1000n);
    return this.#wanted.order.isOldestFirst ? startMs < ms : endMs > ms;
  }

  /**
   * Adds to `walked`, in order, the known batches between `after` and its last one; all others too when nothing
   * is left to walk.
   */
  addKnown(
    walked: readonly WalkedBatch[],
    after: WalkedBatch | undefined,
    isWalkedOut: boolean,
  ): readonly WalkedBatch[] {
    const compare = compareBatches(this.#wanted.order.direction);
    const last = walked.at(-1);
    this.#waiting = this.#waiting.filter((batch) => after === undefined || compare(batch, after) > 0);
    const known = this.#waiting.filter(
      (batch) => isWalkedOut || (last !== undefined && compare(batch, last) < 0),
    );
    return known.length === 0 ? walked : [...walked, ...known].sort(compare);
  }

  /** From two days beyond the walk's position, because of late batches, to a day beyond the filter's end. */
  async #listDays(ms: number): Promise<DayPartition[]> {
    const { filter, order } = this.#wanted;
    const all = await listDayPartitions(this.#db);
    const droppedBelow = await lowestId(this.#db, all);
    if (droppedBelow !== undefined) this.#covered.push({ firstId: 0n, endId: droppedBelow });
    const wanted = indexesFor(filter);
    const indexed = all.filter(({ indexes }) => wanted.some((index) => indexes.has(index)));
    const startMs = filter.startMicros === undefined ? undefined : Number(filter.startMicros / 1000n);
    const endMs = filter.endMicros === undefined ? undefined : Number(filter.endMicros / 1000n);
    if (order.isOldestFirst) {
      const latestMs = (endMs ?? Number.POSITIVE_INFINITY) + 2 * dayMs;
      return indexed.filter((day) => day.endMs >= ms - dayMs && day.startMs <= latestMs);
    }
    const earliestMs = (startMs ?? Number.NEGATIVE_INFINITY) - dayMs;
    return indexed.filter((day) => day.startMs <= ms + 2 * dayMs && day.endMs >= earliestMs).toReversed();
  }

  /**
   * The batches of these days with a matching record, and some more. An attribute that none of the batches has is looked up
   * in the index of the records. If all have one, those that have the first come from the index of the batches; otherwise
   * another condition leads to the records.
   */
  async #lookUp(days: readonly DayPartition[]): Promise<readonly string[] | "many"> {
    const { filter } = this.#wanted;
    const ofBatches = amongBatches(within(days, "batches.id"));
    const inBatches = await this.#inBatches(days);
    const forIndexes: OfBatches = (attribute) =>
      inBatches.has(attribute) || attribute.value === undefined ? ofBatches(attribute) : undefined;
    const [first] = inBatches;
    const isLed = indexesFor({ ...filter, attributes: without(filter, inBatches) }).length > 0;
    const ofRecords: OfBatches = (attribute) =>
      attribute === first && !isLed ? undefined : forIndexes(attribute);
    const lookups = [
      sql`select batch_id from records
        where ${within(days, "batch_id")} and ${allOf(recordConditions(filter, ofRecords, { byIndex: true }))}`,
    ];
    if (first !== undefined && !isLed) {
      lookups.push(sql`select batches.id from batches
        where ${batchHasAttribute(first)} and ${within(days, "batches.id")}`);
    }
    const { rows } = await sql<{ batch_id: string }>`
      select batch_id from (${sql.join(lookups, sql` union all `)}) as found
      limit ${this.#matchesMax + 1}`.execute(this.#db);
    return rows.length > this.#matchesMax ? "many" : [...new Set(rows.map((row) => row.batch_id))];
  }

  /** The wanted attributes with a value that some of these days' batches have. */
  async #inBatches(days: readonly DayPartition[]): Promise<ReadonlySet<AttributeCondition>> {
    const valued = this.#wanted.filter.attributes.filter(({ value }) => value !== undefined);
    if (valued.length === 0) return new Set();
    const exists = valued.map(
      (attribute) =>
        sql`exists (select from batches where ${batchHasAttribute(attribute)} and ${within(days, "batches.id")})`,
    );
    const { rows } = await sql<{ found: boolean[] }>`select array[${sql.join(exists)}] as found`.execute(
      this.#db,
    );
    return new Set(valued.filter((_, index) => rows[0]?.found[index]));
  }
}

function within(days: readonly DayPartition[], id: "batch_id" | "batches.id"): Condition {
  const ranges = joined(days).map(
    ({ firstId, endId }) =>
      sql`(${sql.ref(id)} >= ${String(firstId)}::int8 and ${sql.ref(id)} < ${String(endId)}::int8)`,
  );
  return sql`(${sql.join(ranges, sql` or `)})`;
}

function without({ attributes }: LogFilter, some: ReadonlySet<AttributeCondition>) {
  return attributes.filter((attribute) => !some.has(attribute));
}

/** No record has a batch id below this; undefined when that is unknown. */
async function lowestId(db: Kysely<Database>, days: readonly DayPartition[]): Promise<bigint | undefined> {
  const { rows } = await sql<{ id: string | null }>`
    select min(batch_id) as id from record_batches_default`.execute(db);
  const strayed = rows[0]?.id ?? undefined;
  const [first] = days;
  if (first === undefined) return undefined;
  return strayed !== undefined && BigInt(strayed) < first.firstId ? BigInt(strayed) : first.firstId;
}

/** The same ids in as few ranges as possible, ascending. */
function joined(ranges: readonly IdRange[]): IdRange[] {
  const result: IdRange[] = [];
  for (const range of ranges.toSorted((a, b) => (a.firstId < b.firstId ? -1 : 1))) {
    const last = result.at(-1);
    if (last?.endId === range.firstId)
      result[result.length - 1] = { firstId: last.firstId, endId: range.endId };
    else result.push({ firstId: range.firstId, endId: range.endId });
  }
  return result;
}

/** More matches than this are not rare: a walk soon fills a page. */
const matchesMaxDefault = 20_000;
const daysPerLookMax = 16;
