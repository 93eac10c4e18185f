import { create } from "@bufbuild/protobuf";
import { type Timestamp, TimestampSchema } from "@bufbuild/protobuf/wkt";
import { type Expression, type RawBuilder, sql } from "kysely";
import { InvalidFieldError } from "./invalid-field.ts";

/*
 * In the gateway a time is a bigint of microseconds since 1970: exactly what PostgreSQL stores. A Date would
 * lose the last three digits, and the order of two records of one millisecond.
 */

/** Selects a timestamptz as microseconds since 1970; arrives as a decimal string. */
export function selectMicros(time: Expression<unknown>): RawBuilder<string> {
  return sql<string>`(extract(epoch from ${time}) * 1000000)::int8`;
}

/**
 * Microseconds since 1970 as a timestamptz of SQL. A value outside of the years 1 to 9999, such as a range
 * before the first time that a request can express, becomes the nearest bound: no record is there.
 */
export function timestamptz(micros: bigint): RawBuilder<Date> {
  const within = micros < firstMicros ? firstMicros : micros > lastMicros ? lastMicros : micros;
  return sql<Date>`${showMicros(within)}::timestamptz`;
}

export function timestampFromMicros(micros: bigint): Timestamp {
  const { seconds, fraction } = split(micros);
  return create(TimestampSchema, { seconds, nanos: fraction * 1000 });
}

/**
 * The first whole microsecond at or after `time`, at most the last one of the year 9999: stored times are whole
 * microseconds, so `>= start` and `< end` stay exact to the nanosecond. Throws an {@link InvalidFieldError} for
 * a time outside of the years 1 to 9999.
 */
export function microsFromTimestamp(field: string, { seconds, nanos }: Timestamp): bigint {
  if (seconds < firstSecond || seconds > lastSecond) {
    throw new InvalidFieldError(field, `${seconds} s since 1970, expected a time of the years 0001 to 9999`);
  }
  if (nanos < 0 || nanos > 999_999_999) {
    throw new InvalidFieldError(field, `nanos ${nanos}, expected 0 to 999999999`);
  }
  const micros = seconds * 1_000_000n + BigInt(Math.ceil(nanos / 1000));
  return micros > lastMicros ? lastMicros : micros;
}

/** RFC 3339 in UTC with exactly six digits. */
export function showMicros(micros: bigint): string {
  const { seconds, fraction } = split(micros);
  const text = new Date(Number(seconds) * 1000).toISOString().slice(0, 19);
  return `${text}.${String(fraction).padStart(6, "0")}Z`;
}

/** Rounds down also before 1970, so that the fraction is never negative. */
function split(micros: bigint): { seconds: bigint; fraction: number } {
  const fraction = ((micros % 1_000_000n) + 1_000_000n) % 1_000_000n;
  return { seconds: (micros - fraction) / 1_000_000n, fraction: Number(fraction) };
}

const firstSecond = -62_135_596_800n;
/** The first moment of the year 1. */
export const firstMicros = firstSecond * 1_000_000n;
const lastSecond = 253_402_300_799n;
const lastMicros = lastSecond * 1_000_000n + 999_999n;
