import type { DescField } from "@bufbuild/protobuf";
import type { Timestamp } from "@bufbuild/protobuf/wkt";
import { type LogEntry, LogEntrySchema } from "#proto/gen/fleetlog/v1/query_pb.ts";
import { showMicros } from "../fields/time.ts";
import { microsOf } from "../logs/match-logs.ts";
import { severityName } from "../logs/severity-name.ts";

/*
 * RFC 4180: lines end with CR LF, a quote within a cell is written twice. What devices wrote is quoted whether it needs
 * to be or not, for some programs also take a semicolon or a tab for the end of a cell.
 */

const columns = LogEntrySchema.fields.map((field) => ({ name: field.name, write: toColumn(field) }));

export const csvHeader = `${columns.map(({ name }) => name).join(",")}\r\n`;

/** A record as a line of CSV, a cell for each of its fields; its attributes are one cell of JSON. */
export function csvLine(log: LogEntry): string {
  return `${columns.map(({ write }) => write(log)).join(",")}\r\n`;
}

function toColumn(field: DescField): (log: LogEntry) => string {
  const name = field.localName as keyof LogEntry;
  if (field.fieldKind === "message") return (log) => showMicros(microsOf(log[name] as Timestamp | undefined));
  if (field.fieldKind === "enum") return (log) => severityName(log[name] as number);
  if (field.fieldKind === "map") return (log) => cell(JSON.stringify(log[name]));
  return (log) => {
    const value = log[name] as string | number | bigint;
    return typeof value === "string" ? cell(value) : String(value);
  };
}

/**
 * A cell that begins like a formula would be one to a spreadsheet, and a log may come from anybody: it gets an
 * apostrophe in front, which says that it is text.
 */
function cell(text: string): string {
  const defused = /^[=+\-@\t\r\n\uff0b\uff0d\uff1d\uff20]/.test(text) ? `'${text}` : text;
  return `"${defused.replaceAll('"', '""')}"`;
}
