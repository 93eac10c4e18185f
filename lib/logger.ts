import { type Logger, pino } from "pino";

export type { Logger } from "pino";

/** Writes one JSON object per line to stdout, with the name of the program. */
export function createLogger(program: string, level: string): Logger {
  return pino({
    level,
    base: { program, pid: process.pid },
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label) => ({ level: label }) },
  });
}
