import { showMicros } from "../fields/time.ts";
import type { FoundLog } from "../logs/read-records.ts";
import { severityName } from "../logs/severity-name.ts";

/*
 * RFC 4180: lines end with CR LF, a quote within a cell is written twice. What devices wrote is quoted whether it needs
 * to be or not, for some programs also take a semicolon or a tab for the end of a cell.
 */

const columns = [
  "time",
  "received_at",
  "device_id",
  "session_id",
  "sequence",
  "index",
  "severity",
  "logger",
  "message",
  "attributes",
];

export const csvHeader = `${columns.join(",")}\r\n`;

/** A record as a line of CSV; its attributes are one cell of JSON. */
export function csvLine(log: FoundLog): string {
  const { batch } = log;
  const cells = [
    showMicros(log.timeMicros),
    showMicros(BigInt(batch.received_micros)),
    cell(batch.device_id),
    cell(batch.session_id),
    batch.sequence,
    log.index,
    severityName(log.severity),
    cell(log.logger),
    cell(log.message),
    cell(JSON.stringify(log.attributes)),
  ];
  return `${cells.join(",")}\r\n`;
}

/**
 * A cell that begins like a formula would be one to a spreadsheet, and a log may come from anybody: it gets an
 * apostrophe in front, which says that it is text.
 */
function cell(text: string): string {
  const defused = /^[=+\-@\t\r\n\uff0b\uff0d\uff1d\uff20]/.test(text) ? `'${text}` : text;
  return `"${defused.replaceAll('"', '""')}"`;
}
