import type { GetHistogramResponse } from "#proto/gen/fleetlog/v1/query_pb.ts";
import { toMicros } from "../api/timestamp.ts";
import { severityLevels, toLevel } from "../state/severity-level.ts";
import type { Micros } from "../state/time-range.ts";
import type { ChartData } from "./histogram-chart.ts";

/**
 * The histogram with its empty buckets, and its severities as levels. After `end`, when given, it keeps only
 * the buckets up to the last one with records.
 */
export function toChartData(answer: GetHistogramResponse, end?: Micros): ChartData {
  const { bucketSeconds, buckets } = answer;
  const from = toMicros(answer.startTime) ?? 0;
  const lastEnd = (toMicros(buckets.at(-1)?.startTime) ?? 0) + bucketSeconds * 1e6;
  const to = Math.min(toMicros(answer.endTime) ?? 0, Math.max(end ?? Number.POSITIVE_INFINITY, lastEnd));
  const first = Math.floor(from / 1e6 / bucketSeconds);
  const count = Math.min(bucketsLimit, Math.ceil(to / 1e6 / bucketSeconds) - first);
  const starts = Array.from({ length: Math.max(0, count) }, (_, bucket) => (first + bucket) * bucketSeconds);
  const counts = severityLevels.map(() => starts.map(() => 0));
  for (const { startTime, counts: found } of buckets) {
    const bucket = Math.floor((toMicros(startTime) ?? 0) / 1e6 / bucketSeconds) - first;
    for (const { severity, recordCount } of found) {
      const level = counts[severityLevels.indexOf(toLevel(severity))];
      if (level?.[bucket] !== undefined) level[bucket] += Number(recordCount);
    }
  }
  return { from, to, bucketSeconds, starts, counts };
}

/** More than the gateway ever returns. */
const bucketsLimit = 2000;
