import {
  parseSeverityField,
  severityByLetter,
  severityByWord,
  syslogSeverities,
} from "#batch/structured/severity-field.ts";
import type { StructuredLine } from "#client/lines/structured-line.ts";
import { Severity } from "#proto/gen/fleetlog/v1/log_pb.ts";

/** The values of `--severity`. */
export const severityByName = {
  trace: Severity.TRACE,
  debug: Severity.DEBUG,
  info: Severity.INFO,
  warn: Severity.WARN,
  error: Severity.ERROR,
  fatal: Severity.FATAL,
} as const satisfies Record<string, Severity>;

const priority = /^<(\d{1,3})>/;
const klog = /^([IWEF])\d{4}(?:\d{4})? \d\d:\d\d:\d\d/;
const logcat = /^ +\d+ +\d+ ([VDIWEFA]) /;
const logcatBrief = /^([VDIWEFA])\/[\w.-]{1,60}\s*[(:]/;
const tornado = /^\[([DIWEC]) /;
const redis = /^\d+:[MSCX] \d\d [A-Z][a-z]{2} \d{4} [\d:.]+ ([-.*#]) /;
/** The first word behind the time, in any case: `error`, `[warn]`, `|INFO|`, also behind a thread or a process in brackets. */
const first = /^[\s|,;:\])>-]*(?:\[[\w.:@ -]{1,40}\]:?[\s|]*)?[[(<|]?([A-Za-z]{3,9})(?=[\s\]):>|,]|$)/;
const postgres = /^(?:.{0,60}\s)?LOG: {1,2}/;

const words = Object.keys(severityByWord)
  .filter((word) => word.length > 2)
  .join("|");
const wordsAsName = words.replaceAll(/\b[a-z]/g, (letter) => letter.toUpperCase());

/** In prose "error" means little: only ERROR, [error], `Error: `, `error: `, `level=error` and "level":"error" count. */
const spoken = new RegExp(
  [
    `(?<!["'-])\\b(?<!STACK )(?<shout>${words.toUpperCase()})\\d?\\b(?!-)`,
    `[[<](?:[a-z_]+:)?(?<bracket>${words}|${wordsAsName})[\\]>]`,
    `(?:^\\s*|[:)\\]|>] |- |\\t)(?<prefix>${words}|${wordsAsName}):(?=\\s|$)`,
    `^npm (?<tool>${words})\\b`,
    `\\b(?:level|severity)(?:=|":\\s*)"?(?<field>${words}|${wordsAsName})\\b`,
  ].join("|"),
);

/** How far after its time a line's severity may start. */
const headBytesMax = 80;

/** The severity that a line names near its beginning; its text, behind the time, begins at `start`. */
export function readLineSeverity(
  line: Buffer,
  start: number,
  structured?: StructuredLine,
): Severity | undefined {
  const said = structured?.level === undefined ? undefined : parseSeverityField(structured.level);
  if (said !== undefined) return said;
  const whole = line.toString("latin1", 0, start + headBytesMax);
  const [, syslog] = priority.exec(whole) ?? [];
  if (syslog !== undefined && Number(syslog) <= 191) return syslogSeverities[Number(syslog) % 8];
  const text = whole.slice(start, start + headBytesMax);
  const letter =
    klog.exec(whole)?.[1] ??
    (start > 0 ? logcat.exec(text)?.[1] : undefined) ??
    redis.exec(whole)?.[1] ??
    logcatBrief.exec(text)?.[1] ??
    tornado.exec(whole)?.[1];
  if (letter !== undefined) return severityByLetter[letter];
  const word = start > 0 ? first.exec(text)?.[1]?.toLowerCase() : undefined;
  if (word !== undefined && Object.hasOwn(severityByWord, word)) return severityByWord[word];
  const groups = spoken.exec(text)?.groups;
  if (groups) {
    const named =
      groups["shout"] ?? groups["bracket"] ?? groups["prefix"] ?? groups["tool"] ?? groups["field"] ?? "";
    return severityByWord[named.toLowerCase()];
  }
  return start > 0 && postgres.test(text) ? Severity.INFO : undefined;
}
