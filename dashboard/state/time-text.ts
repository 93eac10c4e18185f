import type { Micros } from "./time-range.ts";

/** Date and time of day, to the millisecond or the microsecond. */
export function timeText(
  micros: Micros,
  utc: boolean,
  decimals: 0 | 3 | 6 = 3,
): { date: string; time: string } {
  const ms = Math.floor(micros / 1000);
  const date = new Date(utc ? ms : ms - new Date(ms).getTimezoneOffset() * 60_000);
  // After the year 9999 or before 0 the text of ISO 8601 is longer.
  const [day = "", time = ""] = Number.isNaN(date.getTime()) ? [] : date.toISOString().split("T");
  const rest = decimals === 6 ? String(micros - ms * 1000).padStart(3, "0") : "";
  return { date: day, time: time.slice(0, decimals === 0 ? 8 : 12) + rest };
}

/** Date, time and zone in full. */
export function fullTime(micros: Micros, utc: boolean): string {
  const { date, time } = timeText(micros, utc, 6);
  return `${date} ${time} ${utc ? "UTC" : zoneText(micros)}`;
}

/** "+02:00", the browser's offset at that time. */
export function zoneText(micros: Micros): string {
  const minutes = -new Date(micros / 1000).getTimezoneOffset();
  const [hours, rest] = [Math.floor(Math.abs(minutes) / 60), Math.abs(minutes) % 60];
  return `${minutes < 0 ? "−" : "+"}${String(hours).padStart(2, "0")}:${String(rest).padStart(2, "0")}`;
}

/** "12 s", "5 min", "3 h", "2 d": one number, rounded. */
export function durationText(seconds: number): string {
  const size = Math.abs(seconds);
  if (size < 1) return `${Math.round(seconds * 1000)} ms`;
  if (size < 10) return `${Number(seconds.toFixed(1))} s`;
  if (size < 90 && size !== 60) return `${Math.round(seconds)} s`;
  if (size < 5400) return `${Math.round(seconds / 60)} min`;
  if (size < 129_600) return `${Math.round(seconds / 3600)} h`;
  return `${Math.round(seconds / 86_400).toLocaleString("en")} d`;
}

/** "1,234,567", or "1.2 M" where space is short. */
export function countText(count: number | bigint, short = false): string {
  return new Intl.NumberFormat(
    "en",
    short && count >= 100_000 ? { notation: "compact", maximumFractionDigits: 1 } : {},
  ).format(count);
}

/** "12 /s", "3 /min", "0.5 /h": in the unit that reads most easily. */
export function rateText(perSecond: number): string {
  const [rate, unit] =
    perSecond >= 1
      ? [perSecond, "s"]
      : perSecond * 60 >= 1
        ? [perSecond * 60, "min"]
        : [perSecond * 3600, "h"];
  if (rate === 0) return "–";
  return `${rate < 10 ? Number(rate.toFixed(1)) : countText(Math.round(rate))} /${unit}`;
}

/** "1.2KB/s" */
export function byteRateText(bytesPerSecond: number): string {
  return new Intl.NumberFormat("en", {
    style: "unit",
    unit: "byte-per-second",
    unitDisplay: "narrow",
    notation: "compact",
    maximumFractionDigits: 1,
  }).format(bytesPerSecond);
}

export function nowMicros(): Micros {
  return Date.now() * 1000;
}
