import { levelNames, timeNames } from "#batch/structured/field-names.ts";
import { readTraceFields, type TraceFields } from "#batch/structured/trace-fields.ts";

/** The record fields of a line that is a JSON object or logfmt. */
export interface StructuredLine {
  readonly isJson: boolean;
  /** Candidates for its time, in order of the usual field names; the first valid one counts. */
  readonly times: readonly (string | number)[];
  readonly level: string | number | undefined;
  readonly trace: TraceFields;
}

/** When text precedes the first pair, `s=3` means seconds and `date=` is a date in the text. */
const levelNamesInText = levelNames.filter((name) => name.length > 2);

/** Longer lines are read as text. */
const jsonBytesMax = 64 * 1024;
const logfmtHead = 512;
const pair = /(?:^|\s)([A-Za-z_@][\w.@]*)=(?:"((?:[^"\\]|\\.)*)"|(\S*))/g;
/** The prefix that a container's name adds to each line. */
const prefix = "\\s*(?:[\\w.-]{1,40} +\\| +)?";
const jsonStart = new RegExp(`^${prefix}(?=\\{)`);
const logfmtStart = new RegExp(`^${prefix}[A-Za-z_@][\\w.@]*=`);
const prefixBytesMax = 64;

/** Undefined: the line is neither JSON nor logfmt that names a time, a level or a trace. */
export function readStructuredLine(line: Buffer): StructuredLine | undefined {
  const brace = line.indexOf(0x7b /* { */);
  if (brace === 0) return readJson(line);
  if (brace > 0 && brace < prefixBytesMax) {
    const start = jsonStart.exec(line.toString("latin1", 0, brace + 1));
    if (start) return readJson(line.subarray(start[0].length));
  }
  const head = line.toString("utf8", 0, logfmtHead);
  if (!head.includes("=")) return undefined;
  const fields = new Map<string, string>();
  for (const [, name = "", quoted, plain] of head.matchAll(pair)) {
    if (!fields.has(name)) fields.set(name, quoted ?? plain ?? "");
  }
  const isLogfmt = logfmtStart.test(head);
  const times = isLogfmt ? readValues(fields, timeNames) : [];
  const [level] = readValues(fields, isLogfmt ? levelNames : levelNamesInText);
  const trace = readTraceFields(fields);
  const isPlain = times.length === 0 && level === undefined && Object.keys(trace).length === 0;
  return isPlain ? undefined : { isJson: false, times, level, trace };
}

function readJson(line: Buffer): StructuredLine | undefined {
  if (line.length > jsonBytesMax) return undefined;
  const text = line.toString();
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined; // text that begins with a brace
  }
  const fields = new Map(Object.entries(value as object));
  const [level] = readValues(fields, levelNames);
  const times = readValues(fields, timeNames).map((time) => exact(time, text));
  return { isJson: true, times, level, trace: readTraceFields(fields) };
}

/** Nanoseconds since 1970 are more than a number in JavaScript holds exactly: their digits are in the text. */
function exact(time: string | number, text: string): string | number {
  if (typeof time === "string" || time <= Number.MAX_SAFE_INTEGER) return time;
  const digits = text.match(/:\s*\d{19}(?=\s*[,}])/g)?.map((found) => found.slice(1).trim());
  return digits?.find((found) => Number(found) === time) ?? time;
}

function readValues(fields: ReadonlyMap<string, unknown>, names: readonly string[]): (string | number)[] {
  return names.flatMap((name) => {
    const value = fields.get(name);
    const plain = (value as { $date?: unknown } | null | undefined)?.$date ?? value; // as MongoDB writes dates
    return typeof plain === "string" || typeof plain === "number" ? [plain] : [];
  });
}
