import { type Logger, pino } from "pino";

export type { Logger } from "pino";

/** One JSON object a line on stdout; `program` names who speaks. */
export function createLogger(program: string, level: string): Logger {
  return pino({
    level,
    base: { program, pid: process.pid },
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label) => ({ level: label }) },
  });
}
