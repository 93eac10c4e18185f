import { readTimeRange, type TimeFields } from "./logs/read-log-filter.ts";
import { firstMicros } from "./time.ts";

/** A stretch of time in microseconds since 1970, its end not included. */
export interface TimeRange {
  readonly startMicros: bigint;
  readonly endMicros: bigint;
}

/**
 * The range a request asks for. Without an end it ends with the minute that is now, without a start it begins
 * `defaultMicros` before its end: then whole minutes are counted, which are kept counted.
 */
export function readClosedRange(request: TimeFields, defaultMicros: bigint): TimeRange {
  const { startMicros, endMicros } = readTimeRange(request);
  const end = endMicros ?? latest(startMicros, endOfMinute(BigInt(Date.now()) * 1000n));
  return { startMicros: startMicros ?? latest(firstMicros, end - defaultMicros), endMicros: end };
}

export const minuteMicros = 60_000_000n;
export const hourMicros = 60n * minuteMicros;
export const dayMicros = 24n * hourMicros;

/** The start of the stretch of `widthMicros` that holds `micros`; stretches begin at 1970. */
export function startOf(micros: bigint, widthMicros: bigint): bigint {
  return micros - (((micros % widthMicros) + widthMicros) % widthMicros);
}

function endOfMinute(micros: bigint): bigint {
  return startOf(micros, minuteMicros) + minuteMicros;
}

function latest(a: bigint | undefined, b: bigint): bigint {
  return a !== undefined && a > b ? a : b;
}
