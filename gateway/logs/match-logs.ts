import type { Timestamp } from "@bufbuild/protobuf/wkt";
import type { LogEntry } from "#proto/gen/fleetlog/v1/query_pb.ts";
import type { AttributeCondition, LogFilter } from "./log-filter.ts";

/** The records of one batch, with what they share. */
export interface BatchOfLogs {
  readonly deviceId: string;
  readonly sessionId: string;
  /** Bit s is set when a record has severity s. */
  readonly severities: number;
  readonly logs: readonly LogEntry[];
}

/**
 * The records that a filter lets through, exactly those that its SQL (record-conditions.ts, find-devices.ts) would
 * find once they are stored; the same array when it is all of them.
 */
export function matchLogs(filter: LogFilter, batch: BatchOfLogs): readonly LogEntry[] {
  const { deviceIds, excludedDeviceIds, sessionId, severities } = filter;
  if (deviceIds.length > 0 && !deviceIds.includes(batch.deviceId)) return [];
  if (excludedDeviceIds.includes(batch.deviceId)) return [];
  if (sessionId !== undefined && sessionId !== batch.sessionId) return [];
  if ((severities & batch.severities) === 0) return [];
  const conditions = conditionsOf(filter, (batch.severities & ~severities) !== 0);
  if (conditions.length === 0) return batch.logs;
  return batch.logs.filter((log) => conditions.every((holds) => holds(log)));
}

type Holds = (log: LogEntry) => boolean;

function conditionsOf(filter: LogFilter, asksSeverity: boolean): Holds[] {
  const { severities, startMicros, endMicros, loggerPrefix } = filter;
  const conditions: Holds[] = [];
  if (asksSeverity) conditions.push(({ severity }) => (severities & (1 << severity)) !== 0);
  if (startMicros !== undefined) conditions.push(({ time }) => microsOf(time) >= startMicros);
  if (endMicros !== undefined) conditions.push(({ time }) => microsOf(time) < endMicros);
  if (loggerPrefix !== "") conditions.push(({ logger }) => logger.startsWith(loggerPrefix));
  for (const prefix of filter.excludedLoggerPrefixes)
    conditions.push(({ logger }) => !logger.startsWith(prefix));
  for (const attribute of filter.attributes) conditions.push((log) => hasAttribute(log, attribute));
  for (const attribute of filter.excludedAttributes) conditions.push((log) => !hasAttribute(log, attribute));
  for (const text of filter.texts.map(foldCase)) conditions.push((log) => foldedMessage(log).includes(text));
  for (const text of filter.excludedTexts.map(foldCase))
    conditions.push((log) => !foldedMessage(log).includes(text));
  return conditions;
}

function hasAttribute({ attributes }: LogEntry, { name, value }: AttributeCondition): boolean {
  return Object.hasOwn(attributes, name) && (value === undefined || attributes[name] === value);
}

/** One record may be looked at by hundreds of filters. */
const folded = new WeakMap<LogEntry, string>();

function foldedMessage(log: LogEntry): string {
  let text = folded.get(log);
  if (text === undefined) folded.set(log, (text = foldCase(log.message)));
  return text;
}

/**
 * Lower case as PostgreSQL's pg_c_utf8 has it: each character by itself, and into one. JavaScript's own also minds where
 * in a word a sigma stands, and makes two characters of a capital I with a dot.
 */
function foldCase(text: string): string {
  if (isAscii.test(text)) return text.toLowerCase();
  let lower = "";
  for (const character of text) lower += character === "İ" ? "i" : character.toLowerCase();
  return lower;
}

export function microsOf(time: Timestamp | undefined): bigint {
  return time === undefined ? 0n : time.seconds * 1_000_000n + BigInt(Math.floor(time.nanos / 1000));
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: all of ASCII
const isAscii = /^[\0-\x7f]*$/;
