import { create } from "@bufbuild/protobuf";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import type { ServiceImpl } from "@connectrpc/connect";
import { sql } from "kysely";
import type { Severity } from "#proto/gen/fleetlog/v1/log_pb.ts";
import { GetStatisticsResponseSchema, type QueryService } from "#proto/gen/fleetlog/v1/query_pb.ts";
import { readCaller } from "../fairness/caller.ts";
import { InvalidFieldError } from "../fields/invalid-field.ts";
import { readCount } from "../fields/page-size.ts";
import { timestampFromMicros, timestamptz } from "../fields/time.ts";
import {
  dayMicros,
  endOfMinute,
  floorTime,
  hourMicros,
  minuteMicros,
  readClosedRange,
  type TimeRange,
} from "../fields/time-range.ts";
import { countLogs } from "../logs/count-logs.ts";
import { toPattern } from "../logs/error-pattern.ts";
import { everything, type LogFilter, severitiesFrom } from "../logs/log-filter.ts";
import { scanLogs } from "../logs/scan-logs.ts";
import type { BlockColumn, StoredBlock } from "../logs/stored-block.ts";
import { type CountedValue, ValueCounts } from "../logs/value-counts.ts";
import type { LagReader } from "../query/lag-reader.ts";
import type { ReadDatabase } from "../query/read-database.ts";
import type { ReadPool } from "../query/read-pool.ts";

/** Fleet statistics. */
export function getStatistics(
  readPool: ReadPool,
  readLag: LagReader | undefined,
): ServiceImpl<typeof QueryService>["getStatistics"] {
  return async (request, context) => {
    const nowMicros = readPool.nowMicros();
    const range = readClosedRange(request, hourMicros, nowMicros);
    const topMax = readCount("top_max", request.topMax, { ifZero: 10, max: 100 });
    if (range.endMicros - range.startMicros > rangeDaysMax * dayMicros) {
      throw new InvalidFieldError("end_time", `expected at most ${rangeDaysMax} days after start_time`);
    }
    const lag = readLag?.();
    const found = await readPool.read(
      "get_statistics",
      readCaller(context),
      (db) => summarise(db, range, topMax),
      {
        isHeavy: true,
      },
    );
    const seconds = pastSeconds(range, nowMicros);
    const recordCount = found.severities.reduce((sum, { count }) => sum + count, 0n);
    const lagNow = await lag;
    return create(GetStatisticsResponseSchema, {
      startTime: timestampFromMicros(range.startMicros),
      endTime: timestampFromMicros(range.endMicros),
      recordCount,
      recordsPerSecond: seconds === 0 ? 0 : Number(recordCount) / seconds,
      severities: found.severities.map(({ severity, count }) => ({
        severity: severity as Severity,
        recordCount: count,
      })),
      topDevices: found.devices.map((row) => ({
        deviceId: row.device_id,
        recordCount: BigInt(row.record_count),
        errorCount: BigInt(row.error_count),
      })),
      topLoggers: found.loggers.values.map(toValueCount),
      sampledRecordCount: BigInt(found.loggers.counted),
      topErrorPatterns: found.patterns.values.map(toValueCount),
      sampledErrorCount: BigInt(found.patterns.counted),
      readRecordCount: BigInt(found.loggers.recordsRead + found.patterns.recordsRead),
      deadLetterCount: BigInt(found.totals.dead_letters),
      incidentCount: BigInt(found.totals.incidents),
      deviceCount: BigInt(found.totals.devices),
      activeDeviceCount: BigInt(found.totals.active_devices),
      ...(lagNow && {
        lag: {
          undeliveredBatchCount: BigInt(lagNow.undelivered),
          pendingBatchCount: BigInt(lagNow.pending),
          oldestAge: durationFromMs(lagNow.oldestAgeMs),
        },
      }),
    });
  };
}

/** Records of the future would dilute the rate. */
function pastSeconds({ startMicros, endMicros }: TimeRange, nowMicros: bigint): number {
  const now = endOfMinute(nowMicros);
  const pastMicros = (startMicros < now && now < endMicros ? now : endMicros) - startMicros;
  return Number(pastMicros) / 1e6;
}

async function summarise(db: ReadDatabase, range: TimeRange, topMax: number) {
  const all = { ...everything, ...range };
  const width = floorTime(range.endMicros - range.startMicros, minuteMicros) + 2n * minuteMicros;
  const { counts } = await countLogs(db, all, width);
  const errors = { ...all, severities: severitiesFrom(17) };
  const bySeverity = Map.groupBy(counts, ({ severity }) => severity);
  return {
    severities: [...bySeverity]
      .map(([severity, ofSeverity]) => ({
        severity,
        count: ofSeverity.reduce((sum, { count }) => sum + count, 0n),
      }))
      .sort((a, b) => a.severity - b.severity),
    devices: await topDevices(db, range, topMax),
    loggers: await topValues(db, all, topMax, "loggers", (block, place) => block.logger(place)),
    patterns: await topValues(db, errors, topMax, "messages", (block, place) =>
      toPattern(block.message(place)),
    ),
    totals: await readTotals(db, range),
  };
}

async function topDevices(db: ReadDatabase, { startMicros, endMicros }: TimeRange, limit: number) {
  const { rows } = await sql<{ device_id: string; record_count: string; error_count: string }>`
    select device_id, top.record_count, top.error_count
    from (
      select device_key, sum(record_count)::int8 as record_count, sum(error_count)::int8 as error_count
      from device_statistics
      where hour > ${timestamptz(startMicros)} - interval '1 hour' and hour < ${timestamptz(endMicros)}
      group by device_key order by 2 desc, device_key limit ${limit}
    ) as top join devices on devices.key = top.device_key
    order by top.record_count desc, device_id`.execute(db);
  return rows;
}

interface Top {
  readonly values: readonly CountedValue[];
  /** The records that were counted. */
  readonly counted: number;
  readonly recordsRead: number;
}

async function topValues(
  db: ReadDatabase,
  filter: LogFilter,
  limit: number,
  column: BlockColumn,
  valueOf: (block: StoredBlock, place: number) => string,
): Promise<Top> {
  const counts = new ValueCounts();
  let counted = 0;
  const { recordsRead } = await scanLogs(db, filter, [column], scanBounds, (block, places) => {
    counted += places.length;
    return places.every((place) => counts.add(valueOf(block, place)));
  });
  return { values: counts.top(limit), counted, recordsRead };
}

async function readTotals(db: ReadDatabase, { startMicros, endMicros }: TimeRange) {
  const [start, end] = [timestamptz(startMicros), timestamptz(endMicros)];
  const { rows } = await sql<Record<"dead_letters" | "incidents" | "devices" | "active_devices", string>>`
    select
      (select coalesce(sum(record_count), 0) from dead_letters where at >= ${start} and at < ${end}) as dead_letters,
      (select count(*) from incidents where at >= ${start} and at < ${end}) as incidents,
      (select count(*) from devices) as devices,
      (select count(*) from devices where last_seen >= ${start} and last_seen < ${end}) as active_devices`.execute(
    db,
  );
  return rows[0] as (typeof rows)[0];
}

function toValueCount({ value, count }: CountedValue) {
  return { value, recordCount: BigInt(count) };
}

/** Of each of the two lists: half a second on a busy machine. */
const scanBounds = { recordsMax: 1_000_000, patienceMs: 1000 };
const rangeDaysMax = 3660n;
