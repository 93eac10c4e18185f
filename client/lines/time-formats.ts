import { epochNanos, timeUnixNanoMax } from "#batch/structured/epoch-time.ts";
import { type DateParts, readZone, type TimeZone, toMillis } from "#client/lines/time-zone.ts";

/** A time that was read from a line. */
export interface LineTime {
  /** Nanoseconds since 1970. */
  readonly timeUnixNano: bigint;
  /** Offset of the text after the time. */
  readonly end: number;
}

export interface TimeContext {
  /** Of times that name no zone. */
  readonly zone: TimeZone;
  /** When the line was written, about: a time without a year is the nearest one to this. Milliseconds since 1970. */
  readonly nowMs: number;
}

export interface TimeFormat {
  readonly name: string;
  /** Undefined: the line is not of this format, or its time does not exist or names a zone that is not understood. */
  readonly read: (head: string, context: TimeContext) => LineTime | undefined;
}

const month = "(?<month>Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)";
const months = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split(" ");
const weekday = "(?:(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun),? )?";
const day = "(?<day>[ \\d]?\\d)";
const clock = "(?<hour>\\d?\\d):(?<minute>\\d\\d):(?<second>\\d\\d)(?:[.,:](?<fraction>\\d+))?";
/** A digit more would make another number of it. */
const year = "(?<year>(?:19|20)\\d\\d)";
/** Allowed before a time: a container or file name, a level, syslog's priority, brackets, a quote. */
const open =
  "^(?:[\\w.-]{1,40} +\\| |\\S{1,80}\\.log\\S{0,40} |update-alternatives )?" +
  "(?:\\[?(?:TRACE|DEBUG|INFO|NOTICE|WARN|WARNING|ERROR|FATAL|CRITICAL)\\]?:? +|[DIWEFA], )?" +
  "(?:<\\d{1,3}>(?:1 )?)?[[(\"']?(?:[DIWEC] )?";
/** For a 12-hour clock. */
const half = /^[ \u00a0\u202f]?([AP])\.?M\b\.?/i;

type Groups = Readonly<Record<string, string | undefined>>;
const parseNumber = (text: string | undefined) => Number(text ?? 0);

/** A format that is one regular expression; the zone is read behind it. */
function byPattern(
  name: string,
  source: string,
  dateOf: (groups: Groups, context: TimeContext) => DateParts | undefined,
): TimeFormat {
  const pattern = new RegExp(source);
  return {
    name,
    read(head, context) {
      const match = pattern.exec(head);
      if (match?.groups === undefined) return undefined;
      const { groups } = match;
      const clockEnd = match.index + match[0].length;
      const behind = half.exec(head.slice(clockEnd, clockEnd + 6));
      const noon = groups["noon"] ?? behind?.[1];
      const zone = readZone(head, clockEnd + (behind?.[0].length ?? 0));
      const hour = noon === undefined ? groups["hour"] : of24Hours(groups["hour"], noon);
      const named = groups["zone"] === undefined ? zone : readZone(` ${groups["zone"]}`, 0);
      if (zone.kind === "unclear" || named.kind === "unclear" || hour === undefined) return undefined;
      const parts = dateOf({ ...groups, hour }, context);
      const ms = parts && toMillis(parts, named.kind === "offset" ? named.minutes : context.zone);
      return ms === undefined ? undefined : toLineTime(ms, groups["fraction"], zone.end);
    },
  };
}

export function toLineTime(ms: number, fraction: string | undefined, end: number): LineTime | undefined {
  // Of more digits than nanoseconds the rest is cut off.
  const timeUnixNano = BigInt(ms) * 1_000_000n + BigInt((fraction ?? "").slice(0, 9).padEnd(9, "0"));
  return timeUnixNano > 0n && timeUnixNano <= timeUnixNanoMax ? { timeUnixNano, end } : undefined;
}

function toClock(groups: Groups): readonly [number, number, number] {
  return [parseNumber(groups["hour"]), parseNumber(groups["minute"]), parseNumber(groups["second"])];
}

function fullDate(groups: Groups): DateParts {
  const { month = "" } = groups;
  const monthNumber = /^\d/.test(month) ? Number(month) : months.indexOf(month) + 1;
  return [parseNumber(groups["year"]), monthNumber, parseNumber(groups["day"]), ...toClock(groups)];
}

/** The year that brings it nearest to now, and no more than a day beyond. */
function withoutYear(groups: Groups, { nowMs, zone }: TimeContext): DateParts | undefined {
  const thisYear = new Date(nowMs).getUTCFullYear();
  for (const candidate of [thisYear + 1, thisYear, thisYear - 1, thisYear - 2, thisYear - 3, thisYear - 4]) {
    const parts = fullDate({ ...groups, year: String(candidate) });
    const ms = toMillis(parts, zone);
    if (ms !== undefined && ms <= nowMs + dayMs) return parts; // 29 February exists in one of five years
  }
  return undefined;
}

const dayMs = 86_400_000;

function isoWeek(groups: Groups): DateParts | undefined {
  const [week, weekDay] = [parseNumber(groups["week"]), parseNumber(groups["day"])];
  if (week < 1 || week > 53 || weekDay < 1 || weekDay > 7) return undefined;
  const fourth = new Date(Date.UTC(parseNumber(groups["year"]), 0, 4)); // is always in week 1
  const date = new Date(
    fourth.getTime() + ((week - 1) * 7 + weekDay - ((fourth.getUTCDay() + 6) % 7) - 1) * dayMs,
  );
  // A week is of the year of its Thursday: not every year has a week 53.
  if (new Date(date.getTime() + (4 - weekDay) * dayMs).getUTCFullYear() !== fourth.getUTCFullYear())
    return undefined;
  return [date.getUTCFullYear(), date.getUTCMonth() + 1, date.getUTCDate(), ...toClock(groups)];
}

function ordinalDate(groups: Groups): DateParts | undefined {
  const dayOfYear = parseNumber(groups["day"]);
  const date = new Date(Date.UTC(parseNumber(groups["year"]), 0, dayOfYear));
  if (date.getUTCFullYear() !== parseNumber(groups["year"]) || dayOfYear < 1) return undefined;
  return [date.getUTCFullYear(), date.getUTCMonth() + 1, date.getUTCDate(), ...toClock(groups)];
}

function century(groups: Groups): DateParts {
  return fullDate({ ...groups, year: `20${groups["short"]}` });
}

function of24Hours(hour: string | undefined, half = ""): string | undefined {
  const number = parseNumber(hour);
  if (number < 1 || number > 12) return undefined;
  return String((number % 12) + (half.toUpperCase() === "P" ? 12 : 0));
}

function epoch(name: string, source: string): TimeFormat {
  const pattern = new RegExp(source);
  return {
    name,
    read(head) {
      const match = pattern.exec(head);
      if (match?.groups === undefined) return undefined;
      const timeUnixNano = epochNanos(match.groups["whole"] ?? "", match.groups["fraction"]);
      return timeUnixNano === undefined ? undefined : { timeUnixNano, end: match.index + match[0].length };
    },
  };
}

const isoDate = `${year}(?<separator>[-/.])(?<month>\\d\\d)\\k<separator>(?<day>\\d\\d)`;

/**
 * The time formats of lines. Year first or month as a word, so that no format guesses; `11/12/2026` is in
 * none: `--time-format` defines its meaning.
 */
export const timeFormats: readonly TimeFormat[] = [
  byPattern("2026-11-27T17:01:02", `${open}${isoDate}(?:[T_-]| {1,2})${clock}`, fullDate),
  byPattern(
    "Start-Date: 2026-11-27  17:01:02",
    `^(?:Start-Date|End-Date|Log started|Log ended): ${isoDate} {1,2}${clock}`,
    fullDate,
  ),
  byPattern(
    "Nov 27 17:01:02",
    `${open}${month} ${day} ${clock}(?! (?:[AP]M )?(?:[A-Z]{1,5} )?(?:19|20)\\d\\d\\b)`,
    withoutYear,
  ),
  byPattern("Nov 27 2026 17:01:02", `${open}${weekday}${month} ${day},? ${year},? ${clock}`, fullDate),
  byPattern(
    "Fri Nov 27 17:01:02 2026",
    `${open}${weekday}${month} ${day} ${clock}(?: (?<noon>[AP])M)? (?:(?<zone>[A-Z]{1,5}|[+-]\\d{4}) )?${year}\\b`,
    fullDate,
  ),
  byPattern(
    "27 Nov 2026 17:01:02",
    `${open}(?:\\d+:[MSCX] )?${weekday}${day}[ -]${month}[ -]${year} ${clock}`,
    fullDate,
  ),
  byPattern(
    "[27/Nov/2026:17:01:02 +0000]",
    `^\\S{1,100} \\S{1,60} [^[\\]"]{1,60}\\[${day}/${month}/${year}:${clock}`,
    fullDate,
  ),
  byPattern("I20261127 17:01:02.123456", `^[IWEF]${year}(?<month>\\d\\d)(?<day>\\d\\d) ${clock}`, fullDate),
  byPattern("I1127 17:01:02.123456", `^[IWEF](?<month>\\d\\d)(?<day>\\d\\d) ${clock}`, withoutYear),
  byPattern(
    "11-27 17:01:02.123 pid tid E",
    `^(?<month>\\d\\d)-(?<day>\\d\\d) ${clock}(?= +\\d+ +\\d+ [VDIWEFA] )`,
    withoutYear,
  ),
  byPattern(
    "26/11/27 17:01:02 INFO",
    `^(?<short>\\d\\d)/(?<month>\\d\\d)/(?<day>\\d\\d) ${clock}(?= (?:TRACE|DEBUG|INFO|WARN|ERROR|FATAL) )`,
    century,
  ),
  byPattern(
    "261127 170102 148 INFO",
    `^(?<short>\\d\\d)(?<month>\\d\\d)(?<day>\\d\\d) (?<hour>\\d\\d)(?<minute>\\d\\d)(?<second>\\d\\d)(?= \\d+ (?:TRACE|DEBUG|INFO|WARN|ERROR|FATAL) )`,
    century,
  ),
  byPattern(
    "20261127T170102",
    `${open}${year}(?<month>\\d\\d)(?<day>\\d\\d)T(?<hour>\\d\\d)(?<minute>\\d\\d)(?<second>\\d\\d)(?:[.,](?<fraction>\\d+))?`,
    fullDate,
  ),
  byPattern(
    "20261127-17:1:2:123",
    `^${year}(?<month>\\d\\d)(?<day>\\d\\d)[- ](?<hour>\\d?\\d):(?<minute>\\d?\\d):(?<second>\\d?\\d)(?:[.,:](?<fraction>\\d+))?`,
    fullDate,
  ),
  byPattern("2026-W48-5T17:01:02", `${open}${year}-?W(?<week>\\d\\d)-?(?<day>\\d)T${clock}`, isoWeek),
  byPattern("2026-331T17:01:02", `${open}${year}-(?<day>\\d{3})T${clock}`, ordinalDate),
  // A bare number is ambiguous: it needs a fraction, a bracket, or at least milliseconds.
  epoch("1764262862.123", `^[[(]?(?<whole>\\d{10})\\.(?<fraction>\\d+)(?=[\\]) \\t,:;|]|$)`),
  epoch("[1764262862]", `^\\[(?<whole>\\d{10}|\\d{13}|\\d{16}|\\d{19})(?=\\])`),
  epoch("1764262862123", `^(?<whole>1\\d{12}|1\\d{15}|1\\d{18})(?=[ \\t,:;|])`),
  epoch("- 1764262862 2026.11.27", `^\\S{1,32} (?<whole>\\d{10}) (?:19|20)\\d\\d\\.\\d\\d\\.\\d\\d `),
  epoch(
    "audit(1764262862.123:45)",
    `^(?:node=\\S+ )?type=\\S+ msg=audit\\((?<whole>\\d{10})\\.(?<fraction>\\d+)(?=:)`,
  ),
];
