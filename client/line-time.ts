/**
 * The forms of time that a line may begin with, all of them year first, so that none is a guess:
 *   2026-11-01 12:34:56                  dpkg and many others, the local time of this machine
 *   2026-11-01T12:34:56.789012+01:00     RFC 3339, with `T` or a space, `.` or `,` before the fraction
 *   [2026-11-01 12:34:56] …              the same in brackets
 *   <165>1 2026-11-01T12:34:56Z …        syslog, RFC 5424
 *   Start-Date: 2026-11-01  12:34:56     apt's history.log and term.log, also End-Date, Log started, Log ended
 */
const form =
  /^(?:\[|<\d{1,3}>1 |(?:Start-Date|End-Date|Log started|Log ended): )?(\d{4})-(\d\d)-(\d\d)(?:T| {1,2})(\d\d):(\d\d):(\d\d)(?:[.,](\d{1,9}))? ?(Z|[+-]\d\d:?\d\d)?(?!\d)/;

/** No form is longer than this. */
const headBytesMax = 64;

const nanosPerMilli = 1_000_000n;
const timeUnixNanoMax = 2n ** 64n - 1n;

export interface LineTime {
  /** Nanoseconds since 1970. */
  readonly timeUnixNano: bigint;
  /** How many bytes of the line say the time. */
  readonly byteLength: number;
}

/** The time at the beginning of a line; undefined when there is none, or none that exists. */
export function readLineTime(line: Buffer): LineTime | undefined {
  const match = form.exec(line.toString("latin1", 0, headBytesMax));
  if (!match) return undefined;
  const [text, year, month, day, hour, minute, second, fraction, zone] = match;
  const numbers = [year, Number(month) - 1, day, hour, minute, second].map(Number) as DateParts;
  const utcMs = Date.UTC(...numbers);
  // Date carries 31 February into March and 12:60 into 13:00: what does not come back as it went in does not exist.
  if (!isSame(new Date(utcMs), numbers)) return undefined;
  const ms = zone === undefined ? new Date(...numbers).getTime() : utcMs - zoneMs(zone);
  const nanos = BigInt(ms) * nanosPerMilli + BigInt((fraction ?? "").padEnd(9, "0"));
  if (nanos <= 0n || nanos > timeUnixNanoMax) return undefined;
  return { timeUnixNano: nanos, byteLength: text.length };
}

type DateParts = [number, number, number, number, number, number];

function isSame(date: Date, parts: DateParts): boolean {
  const seen = [
    date.getUTCFullYear(),
    date.getUTCMonth(),
    date.getUTCDate(),
    date.getUTCHours(),
    date.getUTCMinutes(),
    date.getUTCSeconds(),
  ];
  return seen.every((part, index) => part === parts[index]);
}

/** "+01:30" and "+0130" are 90 minutes ahead of UTC. */
function zoneMs(zone: string): number {
  if (zone === "Z") return 0;
  const minutes = Number(zone.slice(1, 3)) * 60 + Number(zone.slice(-2));
  return (zone.startsWith("-") ? -minutes : minutes) * 60_000;
}
