import type { ListLogsRequest } from "#proto/gen/fleetlog/v1/query_pb.ts";
import { InvalidFieldError } from "./invalid-field.ts";
import { firstMicros, microsFromTimestamp, showMicros } from "./time.ts";

export type TimeFields = Partial<Pick<ListLogsRequest, "startTime" | "endTime">>;

/** A range of time in microseconds since 1970, its end excluded. */
export interface TimeRange {
  readonly startMicros: bigint;
  readonly endMicros: bigint;
}

/** A range whose start and end may be absent. */
export type OpenTimeRange = { readonly [Bound in keyof TimeRange]: bigint | undefined };

/** Start and end; the end must not precede the start. */
export function readTimeRange(request: TimeFields): OpenTimeRange {
  const startMicros = request.startTime && microsFromTimestamp("start_time", request.startTime);
  const endMicros = request.endTime && microsFromTimestamp("end_time", request.endTime);
  if (startMicros !== undefined && endMicros !== undefined && endMicros < startMicros) {
    throw new InvalidFieldError(
      "end_time",
      `${showMicros(endMicros)} is before start_time ${showMicros(startMicros)}, expected start_time or later`,
    );
  }
  return { startMicros, endMicros };
}

/**
 * The range of a request. Without an end it ends {@link aheadMicros} from now; without a start it begins
 * `defaultMicros` before its end, or before now if that is earlier. Both defaults are whole minutes, for which
 * statistics exist.
 */
export function readClosedRange(request: TimeFields, defaultMicros: bigint, nowMicros: bigint): TimeRange {
  const { startMicros, endMicros } = readTimeRange(request);
  const end = endMicros ?? latest(startMicros, endOfMinute(nowMicros + aheadMicros));
  const start = startMicros ?? latest(firstMicros, earliest(end, endOfMinute(nowMicros)) - defaultMicros);
  return { startMicros: start, endMicros: end };
}

/**
 * The filter with an end: otherwise records of a device whose clock is ahead would come first in every list. A
 * request with a later end reads them.
 */
export function endedFilter<Filter extends OpenTimeRange>(filter: Filter, nowMicros: bigint): Filter {
  return filter.endMicros === undefined ? { ...filter, endMicros: nowMicros + aheadMicros } : filter;
}

export const minuteMicros = 60_000_000n;
export const hourMicros = 60n * minuteMicros;
export const dayMicros = 24n * hourMicros;
/** A query without an end reads this far ahead of now: clocks that are slightly ahead are common. */
const aheadMicros = 10n * minuteMicros;

/** The start of the interval of `widthMicros` that contains `micros`; intervals are aligned to 1970. */
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
