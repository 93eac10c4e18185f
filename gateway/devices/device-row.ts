import type { JsonValue, MessageInitShape } from "@bufbuild/protobuf";
import type { DurationSchema } from "@bufbuild/protobuf/wkt";
import { type RawBuilder, sql } from "kysely";
import type { DeviceSchema } from "#proto/gen/fleetlog/v1/query_pb.ts";
import { selectMicros, timestampFromMicros } from "../fields/time.ts";
import { type InfoRow, toDeviceInfo } from "./device-info.ts";

/** A device as {@link deviceColumns} selects it; int8 arrives as a decimal string. */
export interface DeviceRow extends InfoRow {
  readonly key: number;
  readonly device_id: string;
  readonly first_seen_micros: string;
  readonly last_seen_micros: string;
  readonly batch_count: string;
  readonly record_count: string;
  readonly error_count: string;
  readonly dead_letter_count: string;
  readonly error_ratio: number;
  readonly day_record_count: string;
  readonly day_error_count: string;
  readonly records_per_second: number;
  readonly bytes_per_second: number;
  readonly day_records_per_second: number;
  readonly day_bytes_per_second: number;
  readonly clock_offset_micros: string | null;
  readonly attributes: readonly (readonly [string, JsonValue])[] | null;
}

/** The columns of the table `devices`. */
export const errorRatio: RawBuilder<number> = sql`(error_count::float8 / greatest(record_count, 1))`;

/** To be selected from `devices`, joined with {@link deviceDay}, and with a selection of device-info.ts. */
export const deviceColumns: RawBuilder<unknown> = sql`
  devices.key, device_id, batch_count, record_count, error_count, dead_letter_count, ${errorRatio} as error_ratio,
  ${selectMicros(sql.ref("first_seen"))} as first_seen_micros,
  ${selectMicros(sql.ref("last_seen"))} as last_seen_micros,
  clock_offset_micros, day_record_count, day_error_count,
  records_per_second, bytes_per_second, day_records_per_second, day_bytes_per_second,
  (select json_agg(json_build_array(item.key, item.value)) from jsonb_each(devices.attributes) as item) as attributes`;

/** What the device sent in this hour and the 23 hours before it. */
export const deviceDay: RawBuilder<unknown> = sql`lateral (
  select coalesce(sum(day.record_count), 0)::int8 as day_record_count,
    coalesce(sum(day.error_count), 0)::int8 as day_error_count,
    ${perSecond("record_count", 2)} as records_per_second,
    ${perSecond("bytes", 2)} as bytes_per_second,
    ${perSecond("record_count", 24)} as day_records_per_second,
    ${perSecond("bytes", 24)} as day_bytes_per_second
  from device_statistics as day
  where device_key = devices.key and hour > now() - interval '24 hours'
) as of_day`;

/**
 * The column's sum over this hour and those before it, divided by the seconds since the first of them began, or
 * since the device was first seen. The divisor is at least a minute.
 */
function perSecond(column: "record_count" | "bytes", hours: number): RawBuilder<number> {
  const sum = sql`sum(day.${sql.ref(column)}) filter (where hour > now() - ${`${hours} hours`}::interval)`;
  const began = sql`date_trunc('hour', now(), 'UTC') - ${`${hours - 1} hours`}::interval`;
  const seconds = sql`greatest(extract(epoch from now() - greatest(${began}, devices.first_seen)), 60)`;
  return sql`(coalesce(${sum}, 0) / ${seconds})::float8`;
}

export function toDevice(row: DeviceRow): MessageInitShape<typeof DeviceSchema> {
  return {
    deviceId: row.device_id,
    firstSeen: timestampFromMicros(BigInt(row.first_seen_micros)),
    lastSeen: timestampFromMicros(BigInt(row.last_seen_micros)),
    batchCount: BigInt(row.batch_count),
    recordCount: BigInt(row.record_count),
    errorCount: BigInt(row.error_count),
    deadLetterCount: BigInt(row.dead_letter_count),
    errorRatio: row.error_ratio,
    dayRecordCount: BigInt(row.day_record_count),
    dayErrorCount: BigInt(row.day_error_count),
    recordsPerSecond: row.records_per_second,
    bytesPerSecond: row.bytes_per_second,
    dayRecordsPerSecond: row.day_records_per_second,
    dayBytesPerSecond: row.day_bytes_per_second,
    ...(row.clock_offset_micros !== null && { clockOffset: toDuration(BigInt(row.clock_offset_micros)) }),
    attributes: Object.fromEntries<JsonValue>(row.attributes ?? []),
    ...(row.has_info && { info: toDeviceInfo(row) }),
  };
}

/** Seconds and nanoseconds of a Duration have the same sign. */
function toDuration(micros: bigint): MessageInitShape<typeof DurationSchema> {
  return { seconds: micros / 1_000_000n, nanos: Number(micros % 1_000_000n) * 1000 };
}
