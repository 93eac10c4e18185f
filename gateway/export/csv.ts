import { type DescField, type JsonObject, toJson } from "@bufbuild/protobuf";
import {
  type Duration,
  DurationSchema,
  StructSchema,
  type Timestamp,
  TimestampSchema,
} from "@bufbuild/protobuf/wkt";
import { type Options, stringify } from "csv-stringify/sync";
import { type LogEntry, LogEntrySchema } from "#proto/gen/fleetlog/v1/query_pb.ts";
import { showMicros } from "../fields/time.ts";
import { toMicros } from "../logs/entry-block.ts";

/** Durations as seconds, which a spreadsheet adds up. */
const showMessage = new Map<string, (value: never) => string>([
  [TimestampSchema.typeName, (time: Timestamp) => showMicros(toMicros(time))],
  [DurationSchema.typeName, (duration: Duration) => toJson(DurationSchema, duration).slice(0, -1)],
  [StructSchema.typeName, (object: JsonObject) => JSON.stringify(object)],
]);

const columns = LogEntrySchema.fields.map((field) => ({ name: field.name, read: toColumn(field) }));

/**
 * RFC 4180. Texts are always quoted, because some programs also end a cell at a semicolon or a tab. One that begins
 * like a formula gets an apostrophe in front, because a spreadsheet would run it. A whole export takes 1.2 times the
 * CPU of concatenating the cells ourselves (655 and 555 ms for 60,000 records in one run).
 */
const options: Options = { record_delimiter: "\r\n", quoted_string: true, escape_formulas: true };

export const csvHeader = `${columns.map(({ name }) => name).join(",")}\r\n`;

/** Records as lines of CSV, a cell for each field; the attributes are one cell of JSON. */
export function csvLines(logs: readonly LogEntry[]): string {
  return stringify(
    logs.map((log) => columns.map(({ read }) => read(log))),
    options,
  );
}

type Cell = string | number | bigint;

function toColumn(field: DescField): (log: LogEntry) => Cell {
  const name = field.localName as keyof LogEntry;
  const { value: names } = field.enum ?? {};
  if (names !== undefined) return (log) => names[log[name] as number]?.name ?? (log[name] as number);
  const show = field.message === undefined ? undefined : showMessage.get(field.message.typeName);
  if (show !== undefined) return (log) => (log[name] === undefined ? "" : show(log[name] as never));
  if (field.message !== undefined) throw new Error(`${field.toString()}: there is no column for its type`);
  return (log) => {
    const value = log[name] as Cell | boolean;
    if (typeof value === "boolean") return value ? "true" : "";
    // The one start of a formula in OWASP's list that csv-stringify does not escape.
    return typeof value === "string" && value.startsWith("\n") ? `'${value}` : value;
  };
}
