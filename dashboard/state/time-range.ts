/** Times are whole microseconds since 1970, which a number holds exactly for the next 200 years. */
export type Micros = number;

/** The last `seconds`, or a range; an absent end is now, an absent start the beginning. */
export type TimeRange =
  | { readonly lastSeconds: number }
  | { readonly from: Micros | undefined; readonly to: Micros | undefined };

export const rangePresets: readonly {
  readonly name: string;
  readonly label: string;
  readonly seconds: number;
}[] = [
  { name: "5m", label: "Last 5 minutes", seconds: 300 },
  { name: "15m", label: "Last 15 minutes", seconds: 900 },
  { name: "1h", label: "Last hour", seconds: 3600 },
  { name: "6h", label: "Last 6 hours", seconds: 21_600 },
  { name: "24h", label: "Last 24 hours", seconds: 86_400 },
  { name: "2d", label: "Last 2 days", seconds: 172_800 },
  { name: "7d", label: "Last 7 days", seconds: 604_800 },
  { name: "30d", label: "Last 30 days", seconds: 2_592_000 },
];

const defaultRange = { lastSeconds: 86_400 } satisfies TimeRange;
export const allTime: TimeRange = { from: undefined, to: undefined };

/** The range as two times, as of `now`. */
export function resolveRange(
  range: TimeRange,
  now: Micros,
): { from: Micros | undefined; to: Micros | undefined } {
  // The end stays open: the clock of a device may be some minutes ahead, which the gateway allows for.
  return "lastSeconds" in range ? { from: now - range.lastSeconds * 1e6, to: undefined } : range;
}

/** From `range=1h`, `range=all`, or `from` and `to` in RFC 3339. */
export function readRange(parameters: URLSearchParams): TimeRange {
  const name = parameters.get("range");
  if (name === "all") return allTime;
  const found = /^(\d{1,6})([smhd])$/.exec(name ?? "");
  if (found) return { lastSeconds: Number(found[1]) * (secondsPerUnit[found[2] ?? ""] ?? 1) };
  const [from, to] = [parseTime(parameters.get("from")), parseTime(parameters.get("to"))];
  return from === undefined && to === undefined ? defaultRange : { from, to };
}

export function writeRange(range: TimeRange, parameters: URLSearchParams): void {
  if ("lastSeconds" in range) {
    if (range.lastSeconds !== defaultRange.lastSeconds)
      parameters.set("range", shortDuration(range.lastSeconds));
  } else if (range.from === undefined && range.to === undefined) {
    parameters.set("range", "all");
  } else {
    if (range.from !== undefined) parameters.set("from", rfc3339(range.from));
    if (range.to !== undefined) parameters.set("to", rfc3339(range.to));
  }
}

/** RFC 3339 with up to six decimals; undefined for any other text. */
export function parseTime(text: string | null): Micros | undefined {
  const [, whole, decimals = "", zone] =
    /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,6}))?(Z|[+-]\d\d:\d\d)$/.exec(text ?? "") ?? [];
  const ms = Date.parse(`${whole}${zone}`);
  return Number.isNaN(ms) ? undefined : ms * 1000 + Number(decimals.padEnd(6, "0"));
}

export function rfc3339(micros: Micros): string {
  const seconds = Math.floor(micros / 1e6);
  const rest = micros - seconds * 1e6;
  const decimals = rest === 0 ? "" : `.${String(rest).padStart(6, "0").replace(/0+$/, "")}`;
  return `${new Date(seconds * 1000).toISOString().slice(0, 19)}${decimals}Z`;
}

function shortDuration(seconds: number): string {
  for (const unit of ["d", "h", "m"]) {
    const size = secondsPerUnit[unit] ?? 1;
    if (seconds % size === 0 && (unit !== "d" || seconds > size)) return `${seconds / size}${unit}`;
  }
  return `${seconds}s`;
}

const secondsPerUnit: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86_400 };
