/** The fields of a line that is a JSON object or logfmt, as far as they say when it happened and how bad it is. */
export interface StructuredLine {
  readonly isJson: boolean;
  /** What may be its time, by the names that usually say it; the first that is a time counts. */
  readonly times: readonly (string | number)[];
  readonly level: string | number | undefined;
}

const timeNames = [
  "time",
  "ts",
  "timestamp",
  "@timestamp",
  "datetime",
  "date",
  "t",
  "eventTime",
  "__REALTIME_TIMESTAMP",
];
const levelNames = [
  "level",
  "severity",
  "lvl",
  "levelname",
  "log.level",
  "loglevel",
  "PRIORITY",
  "severityText",
  "s",
];

/** Longer lines are read as text. */
const jsonBytesMax = 64 * 1024;
const logfmtHead = 512;
const pair = /(?:^|\s)([A-Za-z_@][\w.@]*)=(?:"((?:[^"\\]|\\.)*)"|(\S*))/g;

/** Undefined: the line is neither JSON nor logfmt that names a time or a level. */
export function readStructuredLine(line: Buffer): StructuredLine | undefined {
  if (line[0] === 0x7b /* { */) return readJson(line);
  const head = line.toString("utf8", 0, logfmtHead);
  if (!head.includes("=")) return undefined;
  const fields = new Map<string, string>();
  for (const [, name = "", quoted, plain] of head.matchAll(pair)) {
    if (!fields.has(name)) fields.set(name, quoted ?? plain ?? "");
  }
  const found = { isJson: false, times: valuesOf(fields, timeNames), level: valuesOf(fields, levelNames)[0] };
  return found.times.length === 0 && found.level === undefined ? undefined : found;
}

function readJson(line: Buffer): StructuredLine | undefined {
  if (line.length > jsonBytesMax) return undefined;
  let value: unknown;
  try {
    value = JSON.parse(line.toString());
  } catch {
    return undefined; // text that begins with a brace
  }
  const fields = new Map(Object.entries(value as object));
  const [level] = valuesOf(fields, levelNames);
  return { isJson: true, times: valuesOf(fields, timeNames), level };
}

function valuesOf(fields: ReadonlyMap<string, unknown>, names: readonly string[]): (string | number)[] {
  return names.flatMap((name) => {
    const value = fields.get(name);
    const plain = (value as { $date?: unknown } | null | undefined)?.$date ?? value; // as MongoDB writes dates
    return typeof plain === "string" || typeof plain === "number" ? [plain] : [];
  });
}
