import { Severity } from "#proto/gen/fleetlog/v1/log_pb.ts";

/** Severity words in logs; those of syslog as OpenTelemetry maps them. */
export const severityByWord: Readonly<Record<string, Severity>> = {
  trace: Severity.TRACE,
  debug: Severity.DEBUG,
  info: Severity.INFO,
  notice: Severity.INFO2,
  warn: Severity.WARN,
  warning: Severity.WARN,
  err: Severity.ERROR,
  eror: Severity.ERROR,
  error: Severity.ERROR,
  severe: Severity.ERROR,
  crit: Severity.ERROR2,
  critical: Severity.ERROR2,
  alert: Severity.ERROR3,
  emerg: Severity.FATAL,
  emergency: Severity.FATAL,
  panic: Severity.FATAL,
  fatal: Severity.FATAL,
  trc: Severity.TRACE,
  verbose: Severity.TRACE,
  dbg: Severity.DEBUG,
  dbug: Severity.DEBUG,
  inf: Severity.INFO,
  wrn: Severity.WARN,
  fail: Severity.ERROR,
  ftl: Severity.FATAL,
};

/** 0 to 7, RFC 5424. */
export const syslogSeverities = [
  Severity.FATAL,
  Severity.ERROR3,
  Severity.ERROR2,
  Severity.ERROR,
  Severity.WARN,
  Severity.INFO2,
  Severity.INFO,
  Severity.DEBUG,
] as const;

/** pino and bunyan count in tens. */
export const severityByTen = [
  Severity.TRACE,
  Severity.DEBUG,
  Severity.INFO,
  Severity.WARN,
  Severity.ERROR,
  Severity.FATAL,
] as const;

/** The letters of klog and logcat, and the signs of Redis. */
export const severityByLetter: Readonly<Record<string, Severity>> = {
  V: Severity.TRACE,
  D: Severity.DEBUG,
  I: Severity.INFO,
  W: Severity.WARN,
  E: Severity.ERROR,
  F: Severity.FATAL,
  A: Severity.FATAL,
  C: Severity.ERROR2,
  ".": Severity.DEBUG,
  "-": Severity.DEBUG,
  "*": Severity.INFO2,
  "#": Severity.WARN,
};

/** Parses a field named level, severity, PRIORITY or similar. */
export function parseSeverityField(level: string | number): Severity | undefined {
  const text = String(level).trim().toLowerCase();
  if (/^[0-7]$/.test(text)) return syslogSeverities[Number(text)];
  if (/^[1-6]0$/.test(text)) return severityByTen[Number(text[0]) - 1];
  if (text === "information") return Severity.INFO; // .NET
  if (Object.hasOwn(severityByWord, text)) return severityByWord[text];
  return text.length === 1 ? severityByLetter[text.toUpperCase()] : undefined;
}
