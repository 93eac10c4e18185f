import type { LogFilter } from "../logs/log-filter.ts";
import { readTimeRange, type TimeFields } from "../logs/read-log-filter.ts";
import { firstMicros } from "./time.ts";

/** A stretch of time in microseconds since 1970, its end not included. */
export interface TimeRange {
  readonly startMicros: bigint;
  readonly endMicros: bigint;
}

/**
 * The range a request asks for. Without an end it ends {@link aheadMicros} from now, without a start it begins
 * `defaultMicros` before its end, or before now if that is earlier: each with a whole minute, for these are kept counted.
 */
export function readClosedRange(request: TimeFields, defaultMicros: bigint, nowMicros: bigint): TimeRange {
  const { startMicros, endMicros } = readTimeRange(request);
  const end = endMicros ?? latest(startMicros, endOfMinute(nowMicros + aheadMicros));
  const start = startMicros ?? latest(firstMicros, earliest(end, endOfMinute(nowMicros)) - defaultMicros);
  return { startMicros: start, endMicros: end };
}

/**
 * The filter with an end: what is dated later, by a device whose clock is ahead, would come first in every list for
 * ever. It is read when an end is asked for that lies behind it.
 */
export function endedFilter(filter: LogFilter, nowMicros: bigint): LogFilter {
  return filter.endMicros === undefined ? { ...filter, endMicros: nowMicros + aheadMicros } : filter;
}

export const minuteMicros = 60_000_000n;
export const hourMicros = 60n * minuteMicros;
export const dayMicros = 24n * hourMicros;
/** So much further than now a query without an end reads: clocks that are a little ahead are common. */
const aheadMicros = 10n * minuteMicros;

/** The start of the stretch of `widthMicros` that holds `micros`; stretches begin at 1970. */
export function floorTime(micros: bigint, widthMicros: bigint): bigint {
  return micros - (((micros % widthMicros) + widthMicros) % widthMicros);
}

export function endOfMinute(micros: bigint): bigint {
  return floorTime(micros, minuteMicros) + minuteMicros;
}

function earliest(a: bigint, b: bigint): bigint {
  return a < b ? a : b;
}

function latest(a: bigint | undefined, b: bigint): bigint {
  return a !== undefined && a > b ? a : b;
}
