import { Severity } from "#proto/gen/fleetlog/v1/log_pb.ts";

/** The words that `--severity` takes. */
export const severityByName = {
  trace: Severity.TRACE,
  debug: Severity.DEBUG,
  info: Severity.INFO,
  warn: Severity.WARN,
  error: Severity.ERROR,
  fatal: Severity.FATAL,
} as const satisfies Record<string, Severity>;

/** The words that logs say their severity with; those of syslog as OpenTelemetry maps them. */
const severityByWord: Readonly<Record<string, Severity>> = {
  trace: Severity.TRACE,
  debug: Severity.DEBUG,
  info: Severity.INFO,
  notice: Severity.INFO2,
  warn: Severity.WARN,
  warning: Severity.WARN,
  err: Severity.ERROR,
  error: Severity.ERROR,
  severe: Severity.ERROR,
  crit: Severity.ERROR2,
  critical: Severity.ERROR2,
  alert: Severity.ERROR3,
  emerg: Severity.FATAL,
  emergency: Severity.FATAL,
  panic: Severity.FATAL,
  fatal: Severity.FATAL,
};

const words = Object.keys(severityByWord).join("|");
const wordsAsName = words.replaceAll(/\b[a-z]/g, (letter) => letter.toUpperCase());

/** In prose "error" means little: only ERROR, [error], `Error: `, `error: `, `level=error` and "level":"error" count. */
const spoken = new RegExp(
  [
    `\\b(?<shout>${words.toUpperCase()})\\b`,
    `[[<](?<bracket>${words}|${wordsAsName})[\\]>]`,
    `(?<![\\w-])(?<prefix>${words}|${wordsAsName}):(?=\\s|$)`,
    `\\b(?:level|severity)(?:=|":\\s*)"?(?<field>${words}|${wordsAsName})\\b`,
  ].join("|"),
);

/** How far into a line, behind its time, its severity may stand. */
const headBytesMax = 80;

/** The severity a line names near its beginning; `start` is where to look, behind the line's time. */
export function readLineSeverity(line: Buffer, start: number): Severity | undefined {
  const groups = spoken.exec(line.toString("latin1", start, start + headBytesMax))?.groups;
  if (!groups) return undefined;
  const word = groups.shout ?? groups.bracket ?? groups.prefix ?? groups.field ?? "";
  return severityByWord[word.toLowerCase()];
}
