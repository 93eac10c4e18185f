import { type Kysely, sql } from "kysely";
import type { Database } from "#postgres/tables.ts";
import { CountMethod } from "#proto/gen/fleetlog/v1/query_pb.ts";
import { selectMicros, timestamptz } from "../fields/time.ts";
import { floorTime, minuteMicros, type TimeRange } from "../fields/time-range.ts";
import { isLong } from "./batch-walk.ts";
import { type ChosenDevices, findDevices } from "./find-devices.ts";
import { isCounted, type LogFilter, severityNumbers } from "./log-filter.ts";
import {
  allOf,
  amongBatches,
  batchConditions,
  type Condition,
  recordConditions,
} from "./record-conditions.ts";

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
}

/**
 * Counts matching records in buckets of `widthMicros`. Exact and fast for a filter of times and severities:
 * whole minutes come from the statistics, only the rest at both ends is counted from records. For any other
 * filter the ledger says how many records would be read; beyond `recordsMax` only a sample of the batches is
 * counted, and the counts are scaled.
 */
export async function countLogs(
  db: Kysely<Database>,
  filter: RangeFilter,
  widthMicros: bigint,
): Promise<LogCount> {
  const firstMinute = floorTime(filter.startMicros + minuteMicros - 1n, minuteMicros);
  const endMinute = floorTime(filter.endMicros, minuteMicros);
  if (!isCounted(filter) || widthMicros % minuteMicros !== 0n || firstMinute >= endMinute) {
    return await countRecords(db, filter, widthMicros);
  }
  const whole = await readStatistics(
    db,
    { ...filter, startMicros: firstMinute, endMicros: endMinute },
    widthMicros,
  );
  const before = await countRecords(db, { ...filter, endMicros: firstMinute }, widthMicros);
  const after = await countRecords(db, { ...filter, startMicros: endMinute }, widthMicros);
  const sampleDivisor = Math.max(before.sampleDivisor, after.sampleDivisor);
  return {
    counts: merge([...before.counts, ...whole, ...after.counts]),
    method: sampleDivisor === 1 ? CountMethod.STATISTICS : CountMethod.ESTIMATED,
    sampleDivisor,
  };
}

async function readStatistics(
  db: Kysely<Database>,
  { startMicros, endMicros, severities }: RangeFilter,
  widthMicros: bigint,
): Promise<BucketCount[]> {
  const { rows } = await sql<CountRow>`
    select ${selectBucket("minute", widthMicros)} as start_micros, severity, sum(record_count)::int8 as count
    from log_statistics
    where minute >= ${timestamptz(startMicros)} and minute < ${timestamptz(endMicros)}
      and severity = any(${severityNumbers(severities)}::int2[])
    group by 1, 2 order by 1, 2`.execute(db);
  return rows.map(toCount(1));
}

async function countRecords(
  db: Kysely<Database>,
  filter: RangeFilter,
  widthMicros: bigint,
): Promise<LogCount> {
  const nothing = { counts: [], method: CountMethod.COUNTED, sampleDivisor: 1 };
  if (filter.startMicros >= filter.endMicros) return nothing;
  const devices = await findDevices(db, filter);
  if (devices === "none") return nothing;
  const where = allOf(batchesInRange(filter, devices));
  const { rows: sums } = await sql<SumRow>`
    select coalesce(sum(record_count), 0)::int8 as records, count(*) as batches, min(id) as first_id, max(id) as last_id
    from batches where ${where}`.execute(db);
  const [sum] = sums;
  if (sum === undefined || sum.first_id === null) return nothing;
  const sampleDivisor = Math.max(
    1,
    Math.ceil(Number(sum.records) / recordsMax),
    Math.ceil(Number(sum.batches) / batchesMax),
  );
  const chosen: Condition =
    sampleDivisor === 1 ? sql`true` : sql`abs(hashint8(id)::int8) % ${sampleDivisor}::int8 = 0`;
  // An array, so that the plan is a walk along the index on batch_id whatever the planner estimates. The bounds
  // are literal, so that whole partitions are pruned.
  const { rows } = await sql<CountRow>`
    select ${selectBucket("time", widthMicros)} as start_micros, severity, count(*) as count
    from records
    where batch_id = any ((select array_agg(id order by id) from batches where ${where} and ${chosen})::int8[])
      and batch_id >= ${sum.first_id}::int8 and batch_id <= ${sum.last_id}::int8
      and ${allOf(recordConditions(filter, amongBatches(allOf([where, chosen]))))}
    group by 1, 2 order by 1, 2`.execute(db);
  return {
    counts: rows.map(toCount(sampleDivisor)),
    method: sampleDivisor === 1 ? CountMethod.COUNTED : CountMethod.ESTIMATED,
    sampleDivisor,
  };
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

function selectBucket(column: "minute" | "time", widthMicros: bigint) {
  const width = sql`${`${widthMicros / 1_000_000n} seconds`}::interval`;
  return selectMicros(sql`date_bin(${width}, ${sql.ref(column)}, timestamptz 'epoch')`);
}

interface CountRow {
  readonly start_micros: string;
  readonly severity: number;
  readonly count: string;
}

interface SumRow {
  readonly records: string;
  readonly batches: string;
  readonly first_id: string | null;
  readonly last_id: string | null;
}

function toCount(sampleDivisor: number): (row: CountRow) => BucketCount {
  return ({ start_micros, severity, count }) => ({
    startMicros: BigInt(start_micros),
    severity,
    count: BigInt(count) * BigInt(sampleDivisor),
  });
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

/** About half a second of one core. */
const recordsMax = 1_000_000;
const batchesMax = 100_000;
