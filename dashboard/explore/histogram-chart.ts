import uPlot from "uplot";
import { severityLevels } from "../state/severity-level.ts";
import type { Micros } from "../state/time-range.ts";

/** Per bucket the number of records of each of `severityLevels`. */
export interface ChartData {
  readonly from: Micros;
  readonly to: Micros;
  readonly bucketSeconds: number;
  /** Starts of the buckets, in seconds since 1970, without gaps. */
  readonly starts: readonly number[];
  readonly counts: readonly (readonly number[])[];
}

interface Reactions {
  readonly onZoom: (from: Micros, to: Micros) => void;
  /** The bucket under the pointer. */
  readonly onHover: (bucket: number | undefined) => void;
}

/**
 * Draws into `element` and returns a function that removes the chart. The most severe levels are at the bottom,
 * on one baseline.
 */
export function drawChart(
  element: HTMLElement,
  data: ChartData,
  utc: boolean,
  reactions: Reactions,
): () => void {
  const levels = severityLevels
    .map((_, index) => index)
    .filter((index) => data.counts[index]?.some((n) => n > 0));
  const stacked = levels.map((_, place) =>
    data.starts.map((_, bucket) =>
      levels.slice(place).reduce((sum, level) => sum + (data.counts[level]?.[bucket] ?? 0), 0),
    ),
  );
  const gridColor = readColor(element, "--line");
  const textColor = readColor(element, "--dim");
  const toDate = (seconds: number) =>
    utc ? uPlot.tzDate(new Date(seconds * 1000), "Etc/UTC") : new Date(seconds * 1000);
  const axis = { stroke: textColor, font: "11px system-ui, sans-serif", ticks: { show: false } };
  const chart = new uPlot(
    {
      width: element.clientWidth,
      height: element.clientHeight,
      padding: [6, 8, 0, 0],
      legend: { show: false },
      tzDate: toDate,
      scales: {
        x: { time: true, range: [data.from / 1e6, data.to / 1e6] },
        y: { range: (_chart, _min, max) => [0, Math.max(max, 1) * 1.05] },
      },
      axes: [
        {
          ...axis,
          grid: { show: false },
          size: 22,
          gap: 3,
          values: (_chart, splits, _axis, _space, step) => timeLabels(splits.map(toDate), step),
        },
        {
          ...axis,
          grid: { stroke: gridColor, width: 1 },
          size: 52,
          gap: 4,
          space: 26,
          values: (_chart, splits) =>
            splits.map((split) => (Number.isInteger(split) ? short.format(split) : "")),
        },
      ],
      cursor: {
        y: false,
        points: { show: false },
        drag: { x: true, y: false, setScale: false },
      },
      series: [
        {},
        ...levels.map((level) => ({
          fill: readColor(element, `--bar-${severityLevels[level]?.name ?? "none"}`),
          width: 0,
          points: { show: false },
          paths: uPlot.paths.bars?.({ size: [0.92, 60], align: 1 }) ?? (() => null),
        })),
      ],
      hooks: {
        setCursor: [(chart) => reactions.onHover(bucketAt(chart, data))],
        setSelect: [
          (chart) => {
            const { left, width } = chart.select;
            if (width < 3) return;
            const [from, to] = [chart.posToVal(left, "x"), chart.posToVal(left + width, "x")];
            reactions.onZoom(Math.round(from * 1000) * 1000, Math.round(to * 1000) * 1000);
          },
        ],
      },
    },
    [[...data.starts], ...stacked],
    element,
  );
  const resize = new ResizeObserver(() =>
    chart.setSize({ width: element.clientWidth, height: element.clientHeight }),
  );
  resize.observe(element);
  return () => {
    resize.disconnect();
    chart.destroy();
  };
}

function bucketAt(chart: uPlot, { starts, bucketSeconds }: ChartData): number | undefined {
  const left = chart.cursor.left ?? -1;
  if (left < 0) return undefined;
  const bucket = Math.floor((chart.posToVal(left, "x") - (starts[0] ?? 0)) / bucketSeconds);
  return bucket >= 0 && bucket < starts.length ? bucket : undefined;
}

/** A canvas does not resolve custom properties; the browser resolves them on an element. */
function readColor(element: HTMLElement, property: string): string {
  element.style.color = `var(${property})`;
  const { color } = getComputedStyle(element);
  element.style.color = "";
  return color;
}

function two(number: number): string {
  return String(number).padStart(2, "0");
}

/** 24 hours and ISO dates in every locale; the date once a day. */
function timeLabels(dates: readonly Date[], stepSeconds: number): string[] {
  return dates.map((date) => {
    const day = `${two(date.getMonth() + 1)}-${two(date.getDate())}`;
    const time = `${two(date.getHours())}:${two(date.getMinutes())}`;
    if (stepSeconds >= 86_400 || (time === "00:00" && stepSeconds >= 60)) return day;
    return stepSeconds < 60 ? `${time}:${two(date.getSeconds())}` : time;
  });
}

const short = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });
