import type { Timestamp } from "@bufbuild/protobuf/wkt";
import type { LogEntry } from "#proto/gen/fleetlog/v1/query_pb.ts";
import { hasAttribute } from "./attributes.ts";
import { type ConditionName, type LogFilter, listConditions } from "./log-filter.ts";

/** The records of one batch, with their common fields. */
export interface BatchOfLogs {
  readonly deviceId: string;
  readonly sessionId: string;
  /** Bit s is set when a record has severity s. */
  readonly severities: number;
  readonly logs: readonly LogEntry[];
}

/** How a condition is checked in memory: on the batch if that decides it, otherwise on each record. */
type InMemory<T> =
  | { readonly ofBatch: (value: T, batch: BatchOfLogs) => "all" | "none"; readonly ofRecord?: never }
  | {
      readonly ofBatch?: (value: T, batch: BatchOfLogs) => "all" | "none" | "some";
      readonly ofRecord: (value: T) => IsMatch;
    };

type IsMatch = (log: LogEntry) => boolean;

const inMemory: { readonly [Name in ConditionName]: InMemory<NonNullable<LogFilter[Name]>> } = {
  deviceIds: { ofBatch: (ids, { deviceId }) => (ids.includes(deviceId) ? "all" : "none") },
  excludedDeviceIds: { ofBatch: (ids, { deviceId }) => (ids.includes(deviceId) ? "none" : "all") },
  sessionId: { ofBatch: (id, { sessionId }) => (id === sessionId ? "all" : "none") },
  startMicros: { ofRecord: (micros) => (log) => toMicros(log.time) >= micros },
  endMicros: { ofRecord: (micros) => (log) => toMicros(log.time) < micros },
  severities: {
    ofBatch: (wanted, { severities }) =>
      (severities & wanted) === 0 ? "none" : (severities & ~wanted) === 0 ? "all" : "some",
    ofRecord: (wanted) => (log) => (wanted & (1 << log.severity)) !== 0,
  },
  traceId: { ofRecord: (traceId) => (log) => log.traceId === traceId },
  loggerPrefix: { ofRecord: (prefix) => (log) => log.logger.startsWith(prefix) },
  excludedLoggerPrefixes: {
    ofRecord: (prefixes) => (log) => !prefixes.some((prefix) => log.logger.startsWith(prefix)),
  },
  attributes: {
    ofRecord: (attributes) => (log) => attributes.every((one) => hasAttribute(log.attributes ?? {}, one)),
  },
  excludedAttributes: {
    ofRecord: (attributes) => (log) => !attributes.some((one) => hasAttribute(log.attributes ?? {}, one)),
  },
  texts: {
    ofRecord: (texts) => {
      const folded = texts.map(foldCase);
      return (log) => folded.every((text) => foldedMessage(log).includes(text));
    },
  },
  excludedTexts: {
    ofRecord: (texts) => {
      const folded = texts.map(foldCase);
      return (log) => !folded.some((text) => foldedMessage(log).includes(text));
    },
  },
};

/**
 * The records that match a filter: exactly those that its SQL (record-conditions.ts, find-devices.ts) would
 * find once they are stored; the same array when all match.
 */
export function matchLogs(filter: LogFilter, batch: BatchOfLogs): readonly LogEntry[] {
  const isMatch: IsMatch[] = [];
  for (const { ofBatch, ofRecord } of matchersFor(filter)) {
    const matching = ofBatch(batch);
    if (matching === "none") return [];
    if (matching === "some") isMatch.push(ofRecord);
  }
  if (isMatch.length === 0) return batch.logs;
  return batch.logs.filter((log) => isMatch.every((matches) => matches(log)));
}

interface Matcher {
  readonly ofBatch: (batch: BatchOfLogs) => "all" | "none" | "some";
  readonly ofRecord: IsMatch;
}

/** A tail matches every batch against the same filter. */
const matchers = new WeakMap<LogFilter, readonly Matcher[]>();

function matchersFor(filter: LogFilter): readonly Matcher[] {
  let found = matchers.get(filter);
  if (found === undefined) {
    found = listConditions(filter).map((name) => matcherFor(name, filter[name]));
    matchers.set(filter, found);
  }
  return found;
}

function matcherFor<Name extends ConditionName>(name: Name, condition: LogFilter[Name]): Matcher {
  const value = condition as NonNullable<typeof condition>;
  const { ofBatch, ofRecord }: InMemory<typeof value> = inMemory[name];
  return {
    ofBatch: (batch) => ofBatch?.(value, batch) ?? "some",
    ofRecord: ofRecord?.(value) ?? (() => false), // not called: the batch decides
  };
}

/** Hundreds of filters may check one record. */
const folded = new WeakMap<LogEntry, string>();

function foldedMessage(log: LogEntry): string {
  let text = folded.get(log);
  if (text === undefined) folded.set(log, (text = foldCase(log.message)));
  return text;
}

/**
 * Lower case as PostgreSQL's pg_c_utf8: each character on its own, to one character. JavaScript's own also
 * depends on the position of a sigma in its word, and makes two characters of a capital I with a dot.
 */
function foldCase(text: string): string {
  if (isAscii.test(text)) return text.toLowerCase();
  let lower = "";
  for (const character of text) lower += character === "İ" ? "i" : character.toLowerCase();
  return lower;
}

export function toMicros(time: Timestamp | undefined): bigint {
  return time === undefined ? 0n : time.seconds * 1_000_000n + BigInt(Math.floor(time.nanos / 1000));
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: all of ASCII
const isAscii = /^[\0-\x7f]*$/;
