import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { CountMethod, type GetHistogramResponse } from "#proto/gen/fleetlog/v1/query_pb.ts";
import { query } from "../api/client.ts";
import { filterRequest } from "../api/filter-request.ts";
import { toMicros, toTimestamp } from "../api/timestamp.ts";
import { useQuery } from "../api/use-query.ts";
import { passes, toggledLevel } from "../state/filter-actions.ts";
import { change } from "../state/location.ts";
import { type SeverityLevel, severityLevels } from "../state/severity-level.ts";
import { isDark } from "../state/theme.ts";
import type { Micros } from "../state/time-range.ts";
import { countText, durationText, nowMicros, timeText } from "../state/time-text.ts";
import type { View } from "../state/view.ts";
import { toChartData } from "./chart-data.ts";
import { drawChart } from "./histogram-chart.ts";

/** Records by time and severity; dragging zooms in. */
export function Histogram({ filter, ask }: { filter: View; ask: string }) {
  const { utc } = filter;
  const element = useRef<HTMLDivElement>(null);
  const [hovered, setHovered] = useState<number>();
  const { value, failure, isLoading } = useQuery(ask, (signal) => countLogs(filter, signal));
  const data = useMemo(() => value && toChartData(value, rangeEnd(filter)), [value]);
  const dark = isDark.value;
  useEffect(() => {
    if (element.current === null || data === undefined || data.starts.length === 0) return;
    return drawChart(element.current, data, utc, {
      onHover: setHovered,
      onZoom: (from, to) => change({ range: { from, to }, open: "" }),
    });
  }, [data, utc, dark]);

  if (failure && value === undefined) {
    return <p class="chart-note">No chart: {failure.detail || failure.title}</p>;
  }
  const total = Number(value?.recordCount ?? 0);
  const sums = severityLevels.map((_, level) => sum(data?.counts[level], hovered));
  const start = data && hovered !== undefined ? (data.starts[hovered] ?? 0) * 1e6 : undefined;
  return (
    <section class={`histogram${isLoading ? " loading" : ""}`} aria-label="Records by time">
      <div
        class="chart"
        ref={element}
        role="img"
        aria-label={`${countText(total)} records by time and severity`}
      />
      <div class="legend">
        {severityLevels.map((level, index) =>
          data?.counts[index]?.some((count) => count > 0) || !passes(filter, level) ? (
            <LegendEntry key={level.name} filter={filter} level={level} count={sums[index] ?? 0} />
          ) : null,
        )}
        <span class="legend-note">
          {start !== undefined && data
            ? `${timeText(start, utc, 0).date} ${timeText(start, utc, 0).time} + ${durationText(data.bucketSeconds)}`
            : value
              ? methodText(value)
              : "counting …"}
        </span>
      </div>
    </section>
  );
}

function LegendEntry({ filter, level, count }: { filter: View; level: SeverityLevel; count: number }) {
  const isOn = passes(filter, level);
  return (
    <button
      type="button"
      class={`legend-entry level-${level.name}`}
      aria-pressed={isOn}
      title={isOn ? "Hide this level" : "Show this level"}
      onClick={() => change({ levels: toggledLevel(filter, level), minLevel: undefined, open: "" })}
    >
      <span class="swatch" />
      {level.name === "none" ? "no level" : level.label} {isOn && <b>{countText(count, true)}</b>}
    </button>
  );
}

function sum(counts: readonly number[] | undefined, bucket: number | undefined): number {
  if (counts === undefined) return 0;
  return bucket === undefined ? counts.reduce((total, count) => total + count, 0) : (counts[bucket] ?? 0);
}

function methodText({ method, sampleDivisor, recordCount, bucketSeconds }: GetHistogramResponse): string {
  const bars = `${countText(recordCount)} records, ${durationText(bucketSeconds)} per bar`;
  return method === CountMethod.ESTIMATED ? `about ${bars}: 1 in ${sampleDivisor} batches counted` : bars;
}

/** "All time" begins with the first record. */
async function countLogs(filter: View, signal: AbortSignal): Promise<GetHistogramResponse> {
  const now = nowMicros();
  const request = filterRequest(filter, filter.range, now);
  const options = { signal, timeoutMs: 20_000 };
  let startTime = request.startTime;
  if (startTime === undefined) {
    const { logs } = await query.listLogs({ ...request, oldestFirst: true, pageSize: 1 }, options);
    startTime = toTimestamp(toMicros(logs[0]?.time));
  }
  return await query.getHistogram({ ...request, startTime, bucketsMax }, options);
}

/**
 * A range without an end is counted some minutes ahead, for devices whose clock is; those buckets are usually
 * empty.
 */
function rangeEnd({ range }: View): Micros | undefined {
  return "lastSeconds" in range || range.to === undefined ? nowMicros() : undefined;
}

const bucketsMax = 120;
