import { sql } from "kysely";
import { CountMethod } from "#proto/gen/fleetlog/v1/query_pb.ts";
import { selectMicros, timestamptz } from "../fields/time.ts";
import { floorTime, minuteMicros, type TimeRange } from "../fields/time-range.ts";
import { allOf, type Condition } from "../query/conditions.ts";
import type { ReadDatabase } from "../query/read-database.ts";
import { batchConditions } from "./batch-conditions.ts";
import { isLong } from "./batch-walk.ts";
import { type ChosenDevices, findDevices } from "./find-devices.ts";
import { isCounted, type LogFilter, severityNumbers } from "./log-filter.ts";
import { type ScanBounds, scanLogs } from "./scan-logs.ts";
import { searchTermsFor } from "./skipped-batches.ts";
import { type BlockTime, type StoredBlock, toBlockTime } from "./stored-block.ts";

/** A filter with both ends. */
export type RangeFilter = LogFilter & TimeRange;

/** Records of one severity in one bucket. */
export interface BucketCount {
  readonly startMicros: bigint;
  readonly severity: number;
  readonly count: bigint;
}

export interface LogCount {
  readonly counts: readonly BucketCount[];
  readonly method: CountMethod;
  /** One of this many batches was counted. */
  readonly sampleDivisor: number;
  /** Matching or not. */
  readonly recordsRead: number;
}

/**
 * Counts matching records in buckets of `widthMicros`. Exact and fast for a filter of times and severities:
 * whole minutes come from the statistics, only the rest at both ends is counted from records. For any other
 * filter all batches that may match are read; when the ledger says that these hold more than `recordsMax` records and search
 * summaries do not leave much fewer, only a sample of them, and the counts are scaled.
 */
export async function countLogs(
  db: ReadDatabase,
  filter: RangeFilter,
  widthMicros: bigint,
  recordsMax = recordsMaxDefault,
): Promise<LogCount> {
  const firstMinute = floorTime(filter.startMicros + minuteMicros - 1n, minuteMicros);
  const endMinute = floorTime(filter.endMicros, minuteMicros);
  if (!isCounted(filter) || widthMicros % minuteMicros !== 0n || firstMinute >= endMinute) {
    return await countRecords(db, filter, widthMicros, recordsMax);
  }
  const whole = await readStatistics(
    db,
    { ...filter, startMicros: firstMinute, endMicros: endMinute },
    widthMicros,
  );
  const before = await countRecords(db, { ...filter, endMicros: firstMinute }, widthMicros, recordsMax);
  const after = await countRecords(db, { ...filter, startMicros: endMinute }, widthMicros, recordsMax);
  const sampleDivisor = Math.max(before.sampleDivisor, after.sampleDivisor);
  return {
    counts: merge([...before.counts, ...whole, ...after.counts]),
    method: sampleDivisor === 1 ? CountMethod.STATISTICS : CountMethod.ESTIMATED,
    sampleDivisor,
    recordsRead: before.recordsRead + after.recordsRead,
  };
}

async function readStatistics(
  db: ReadDatabase,
  { startMicros, endMicros, severities }: RangeFilter,
  widthMicros: bigint,
): Promise<BucketCount[]> {
  const width = sql`${`${widthMicros / 1_000_000n} seconds`}::interval`;
  const { rows } = await sql<CountRow>`
    select ${selectMicros(sql`date_bin(${width}, minute, timestamptz 'epoch')`)} as start_micros, severity, sum(record_count)::int8 as count
    from log_statistics
    where minute >= ${timestamptz(startMicros)} and minute < ${timestamptz(endMicros)}
      and severity = any(${severityNumbers(severities)}::int2[])
    group by 1, 2 order by 1, 2`.execute(db);
  return rows.map(({ start_micros, severity, count }) => ({
    startMicros: BigInt(start_micros),
    severity,
    count: BigInt(count),
  }));
}

async function countRecords(
  db: ReadDatabase,
  filter: RangeFilter,
  widthMicros: bigint,
  recordsMax: number,
): Promise<LogCount> {
  const nothing = { counts: [], method: CountMethod.COUNTED, sampleDivisor: 1, recordsRead: 0 };
  if (filter.startMicros >= filter.endMicros) return nothing;
  const devices = await findDevices(db, filter);
  if (devices === "none") return nothing;
  const { rows: sums } = await sql<SumRow>`
    select coalesce(sum(record_count), 0)::int8 as records, count(*) as batches
    from batches where ${allOf(batchesInRange(filter, devices))}`.execute(db);
  const [sum] = sums;
  if (sum === undefined || sum.batches === "0") return nothing;
  const sampleDivisor = Math.max(
    1,
    Math.ceil(Number(sum.records) / recordsMax),
    Math.ceil(Number(sum.batches) / batchesMax),
  );
  if (sampleDivisor > 1 && !searchTermsFor(filter).isEmpty) {
    // Search summaries may leave few of them to read.
    const count = await countBatches(db, filter, widthMicros, { recordsMax: recordsMax / 4 });
    if (count !== undefined) return count;
  }
  // Nothing but these bounds ends it.
  return (await countBatches(db, filter, widthMicros, { sampleDivisor })) as LogCount;
}

/** Undefined: a bound ended it. */
async function countBatches(
  db: ReadDatabase,
  filter: RangeFilter,
  widthMicros: bigint,
  bounds: ScanBounds,
): Promise<LogCount | undefined> {
  const { sampleDivisor = 1 } = bounds;
  const counter = new BucketCounter(filter, widthMicros);
  const { isComplete, recordsRead } = await scanLogs(db, filter, ["severities"], bounds, (block, places) => {
    counter.add(block, places);
    return true;
  });
  if (!isComplete) return undefined;
  return {
    counts: counter.counts(sampleDivisor),
    method: sampleDivisor === 1 ? CountMethod.COUNTED : CountMethod.ESTIMATED,
    sampleDivisor,
    recordsRead,
  };
}

/** Counts records by bucket and severity. */
class BucketCounter {
  readonly #firstMicros: bigint;
  readonly #first: BlockTime;
  readonly #widthMicros: bigint;
  /** Of the first bucket, then of the second, … */
  readonly #counts: Float64Array;

  constructor({ startMicros, endMicros }: TimeRange, widthMicros: bigint) {
    this.#firstMicros = floorTime(startMicros, widthMicros);
    this.#first = toBlockTime(this.#firstMicros);
    this.#widthMicros = widthMicros;
    const buckets = (endMicros - this.#firstMicros + widthMicros - 1n) / widthMicros;
    this.#counts = new Float64Array(Number(buckets) * severitiesMax);
  }

  add(block: StoredBlock, places: readonly number[]): void {
    const width = Number(this.#widthMicros);
    for (const place of places) {
      const bucket = Math.floor(block.microsSince(place, this.#first) / width);
      const at = bucket * severitiesMax + block.severity(place);
      this.#counts[at] = (this.#counts[at] ?? 0) + 1;
    }
  }

  /** Those that are not 0, ascending. */
  counts(factor: number): BucketCount[] {
    const counts: BucketCount[] = [];
    for (const [at, count] of this.#counts.entries()) {
      if (count === 0) continue;
      const bucket = BigInt(Math.floor(at / severitiesMax));
      counts.push({
        startMicros: this.#firstMicros + bucket * this.#widthMicros,
        severity: at % severitiesMax,
        count: BigInt(count) * BigInt(factor),
      });
    }
    return counts;
  }
}

/** Batches with a record in the range: all but the long ones end within ten minutes of it. */
function batchesInRange(filter: RangeFilter, { keys, excludedKeys }: ChosenDevices): Condition[] {
  const end = timestamptz(filter.endMicros);
  const conditions: Condition[] = [
    sql`(last_time < ${end} + interval '10 minutes' or ${isLong})`,
    ...batchConditions(filter),
  ];
  if (keys !== undefined) conditions.push(sql`device_key = any(${keys}::int[])`);
  if (excludedKeys.length > 0) conditions.push(sql`device_key <> all(${excludedKeys}::int[])`);
  return conditions;
}

interface CountRow {
  readonly start_micros: string;
  readonly severity: number;
  readonly count: string;
}

interface SumRow {
  readonly records: string;
  readonly batches: string;
}

/** Sums the counts of equal bucket and severity; ascending by both. */
function merge(counts: readonly BucketCount[]): BucketCount[] {
  const sums = new Map<string, BucketCount>();
  for (const one of counts) {
    const name = `${one.startMicros} ${one.severity}`;
    sums.set(name, { ...one, count: one.count + (sums.get(name)?.count ?? 0n) });
  }
  return [...sums.values()].sort((a, b) => Number(a.startMicros - b.startMicros) || a.severity - b.severity);
}

/** Two seconds on a busy machine, most of them PostgreSQL's. */
const recordsMaxDefault = 4_000_000;
const batchesMax = 200_000;
/** 0 to 24. */
const severitiesMax = 25;
