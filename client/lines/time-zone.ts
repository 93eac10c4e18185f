/** Minutes ahead of UTC, or the name of an IANA zone, or "local": this machine's. */
export type TimeZone = number | string;

/**
 * Abbreviations that mean one offset wherever they are used. Those that mean several (CST, IST, BST, AST, …) are listed
 * below: a time with one of them is not guessed.
 */
const offsetByName: Readonly<Record<string, number>> = {
  Z: 0,
  UTC: 0,
  UCT: 0,
  GMT: 0,
  WET: 0,
  WEST: 60,
  CET: 60,
  MEZ: 60,
  CEST: 120,
  MESZ: 120,
  EET: 120,
  EEST: 180,
  MSK: 180,
  SAST: 120,
  CAT: 120,
  EAT: 180,
  WAT: 60,
  PKT: 300,
  NPT: 345,
  WIB: 420,
  SGT: 480,
  HKT: 480,
  JST: 540,
  KST: 540,
  AWST: 480,
  ACST: 570,
  ACDT: 630,
  AEST: 600,
  AEDT: 660,
  NZST: 720,
  NZDT: 780,
  NDT: -150,
  NST: -210,
  BRT: -180,
  ART: -180,
  EDT: -240,
  EST: -300,
  CDT: -300,
  MDT: -360,
  MST: -420,
  PDT: -420,
  PST: -480,
  AKDT: -480,
  AKST: -540,
  HST: -600,
};
const ambiguous = new Set("ACT ADT AMT AST BST CST ECT GST IST LHST MMT PYT SST WST".split(" "));

/** The text after a time of day. */
export type ReadZone =
  | { readonly kind: "offset"; readonly minutes: number; readonly end: number }
  /** No zone. */
  | { readonly kind: "none"; readonly end: number }
  /** A possible zone in an unknown form. */
  | { readonly kind: "unclear" };

const attachedName = /[A-Za-z]+/y;
const spacedName = / \(?([A-Z]{1,5}|utc|gmt)(?![A-Za-z0-9_./-])\)?/y;
const utcOffset = / ?(?:UTC|GMT)([+-])(\d{1,2})(?::?(\d\d))?(?![\d:])/y;
const numeric = /( ?)([+-])(\d\d)(?::?(\d\d))?(?![\w:])/y;
const area =
  "(?:Africa|America|Antarctica|Arctic|Asia|Atlantic|Australia|Etc|Europe|Indian|Pacific)/[\\w/+-]+";
/** After an offset it adds nothing to it (RFC 9557). */
const bracketed = new RegExp(`\\[!?(?:${area}|UTC|GMT|Z)\\]`, "y");
/** Without an offset it names a zone in a form that is not supported. */
const unread = new RegExp(` ?[[(]?!?${area}`, "y");

/** Reads the zone at `at`, right behind the seconds and their fraction. */
export function readZone(text: string, at: number): ReadZone {
  const zone = readOffset(text, at);
  if (zone.kind !== "offset" || !matchAt(bracketed, text, zone.end)) return zone;
  return { ...zone, end: bracketed.lastIndex };
}

function readOffset(text: string, at: number): ReadZone {
  const utc = matchAt(utcOffset, text, at);
  if (utc) return asOffset(utc[1]!, utc[2]!, utc[3], utcOffset.lastIndex);
  const number = matchAt(numeric, text, at);
  if (number) {
    const [, space, sign, hours, minutes] = number;
    const end = numeric.lastIndex;
    const behind = text.slice(end);
    // Behind a space "-1000 bytes" is a number: it takes four digits, and a zero, a plus or a colon, or nothing behind
    // it. Two digits are an offset where PostgreSQL puts its process behind them: `-03 [123] LOG:`.
    const isNumber = sign === "-" && !hours!.startsWith("0") && /^ ?[a-z\d%]/.test(behind);
    const isOffset = number[0].includes(":") || (minutes === undefined ? /^ \[\d/.test(behind) : !isNumber);
    if (space !== "" && !isOffset) return { kind: "unclear" };
    return asOffset(sign!, hours!, minutes, end);
  }
  const attached = matchAt(attachedName, text, at);
  if (attached) return named(attached[0].toUpperCase(), attachedName.lastIndex, "unclear");
  if (/[\d_]|[+-]\d/.test(text.slice(at, at + 2)) && !/^\s/.test(text.slice(at))) return { kind: "unclear" };
  if (/^ [+-]\d/.test(text.slice(at, at + 3)) || matchAt(unread, text, at)) return { kind: "unclear" };
  const spaced = matchAt(spacedName, text, at);
  if (spaced) return named(spaced[1]!.toUpperCase(), spacedName.lastIndex, "none", at);
  return { kind: "none", end: at };
}

function named(name: string, end: number, otherwise: "none" | "unclear", at = end): ReadZone {
  const minutes = Object.hasOwn(offsetByName, name) ? offsetByName[name] : undefined;
  if (minutes !== undefined) return { kind: "offset", minutes, end };
  if (otherwise === "unclear" || ambiguous.has(name)) return { kind: "unclear" };
  return { kind: "none", end: at };
}

function asOffset(sign: string, hours: string, minutes: string | undefined, end: number): ReadZone {
  const total = Number(hours) * 60 + Number(minutes ?? 0);
  const most = (sign === "-" ? 12 : 14) * 60;
  if (total > most || Number(minutes ?? 0) % 15 !== 0) return { kind: "unclear" };
  return { kind: "offset", minutes: sign === "-" ? -total : total, end };
}

function matchAt(pattern: RegExp, text: string, at: number): RegExpExecArray | null {
  pattern.lastIndex = at;
  return pattern.exec(text);
}

/** Year, month from 1, day, hour, minute, second. */
export type DateParts = readonly [number, number, number, number, number, number];

/** Milliseconds since 1970 of a date in a zone; undefined when the date does not exist. */
export function toMillis(parts: DateParts, zone: TimeZone): number | undefined {
  const [year, month, day, hour, minute, second] = parts;
  if (second === 60) {
    // A leap second is the first of the next minute, as for POSIX.
    const before = toMillis([year, month, day, hour, minute, 59], zone);
    return before === undefined ? undefined : before + 1_000;
  }
  const utcMs = Date.UTC(year, month - 1, day, hour, minute, second);
  // Date turns 31 February into March and 12:60 into 13:00: a date that changes does not exist.
  const date = new Date(utcMs);
  if (
    date.getUTCFullYear() !== year ||
    date.getUTCMonth() !== month - 1 ||
    date.getUTCDate() !== day ||
    date.getUTCHours() !== hour ||
    date.getUTCMinutes() !== minute ||
    date.getUTCSeconds() !== second
  ) {
    return undefined;
  }
  if (typeof zone === "number") return utcMs - zone * 60_000;
  if (zone === "local") return new Date(year, month - 1, day, hour, minute, second).getTime();
  // The offset at that instant, from an estimate that is at most one offset off.
  const first = utcMs - offsetMs(utcMs, zone);
  return utcMs - offsetMs(first, zone);
}

const formatters = new Map<string, Intl.DateTimeFormat>();

/** The offset of a zone from UTC at an instant. Throws RangeError for an unknown zone. */
function offsetMs(atMs: number, zone: string): number {
  let formatter = formatters.get(zone);
  if (formatter === undefined) {
    formatter = new Intl.DateTimeFormat("en-US", { timeZone: zone, timeZoneName: "longOffset" });
    formatters.set(zone, formatter);
  }
  const name = formatter.formatToParts(atMs).find(({ type }) => type === "timeZoneName")?.value ?? "";
  const [, sign, hours = "0", minutes = "0", seconds = "0"] =
    /^GMT(?:([+-])(\d\d):(\d\d)(?::(\d\d))?)?$/.exec(name) ?? [];
  const ms = (Number(hours) * 3_600 + Number(minutes) * 60 + Number(seconds)) * 1_000;
  return sign === "-" ? -ms : ms;
}

/**
 * Parses the value of `--time-zone`: local, an offset such as +05:30, UTC, or an IANA name. Throws
 * RangeError otherwise.
 */
export function parseTimeZone(text: string): TimeZone {
  if (text === "local") return "local";
  const read = readZone(text, 0);
  if (read.kind === "offset" && read.end === text.length) return read.minutes;
  offsetMs(0, text);
  return text;
}
