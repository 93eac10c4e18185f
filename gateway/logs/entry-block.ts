import type { Timestamp } from "@bufbuild/protobuf/wkt";
import type { LogEntry } from "#proto/gen/fleetlog/v1/query_pb.ts";
import { foldCase } from "#search/fold-case.ts";
import { hasAttribute } from "./attributes.ts";
import type { FoldedText } from "./folded-text.ts";
import type { AttributeSearch, BatchTraits, LogBlock, LoggerPrefix } from "./log-block.ts";
import type { LogFilter } from "./log-filter.ts";
import { matcherFor } from "./match-logs.ts";

/** The records of one batch of the stream, with their common fields. */
export interface BatchOfLogs extends Omit<BatchTraits, "span"> {
  readonly logs: readonly LogEntry[];
}

/** The records that match a filter: exactly those that a query would find once they are stored. */
export function matchLogs(filter: LogFilter, batch: BatchOfLogs): readonly LogEntry[] {
  const { logs } = batch;
  const places = matcherFor(filter).match(new EntryBlock(batch));
  return places.length === logs.length ? logs : places.map((place) => logs[place] as LogEntry);
}

/** Decoded records. Nothing about all of them at once is known: there are few, and they are read by every tail. */
class EntryBlock implements LogBlock {
  readonly batch: BatchTraits;
  readonly #logs: readonly LogEntry[];

  constructor({ deviceId, sessionId, severities, logs }: BatchOfLogs) {
    this.batch = { deviceId, sessionId, severities, span: undefined };
    this.#logs = logs;
  }

  get count(): number {
    return this.#logs.length;
  }

  timeMicros(place: number): bigint {
    return toMicros(this.#log(place).time);
  }

  severity(place: number): number {
    return this.#log(place).severity;
  }

  mayHaveTrace(): boolean {
    return true;
  }

  hasTrace(place: number, traceId: Buffer): boolean {
    return this.#log(place).traceId === traceId.toString("hex");
  }

  mayHaveLogger(): boolean {
    return true;
  }

  hasLogger(place: number, { text }: LoggerPrefix): boolean {
    return this.#log(place).logger.startsWith(text);
  }

  mayHaveAttribute(): boolean {
    return true;
  }

  hasAttribute(place: number, attribute: AttributeSearch): boolean {
    return hasAttribute(this.#log(place).attributes ?? {}, attribute);
  }

  mayContain(): boolean {
    return true;
  }

  contains(place: number, { folded }: FoldedText): boolean {
    return foldedMessage(this.#log(place)).includes(folded);
  }

  #log(place: number): LogEntry {
    return this.#logs[place] as LogEntry;
  }
}

/** Hundreds of filters may check one record. */
const foldedMessages = new WeakMap<LogEntry, string>();

function foldedMessage(log: LogEntry): string {
  let text = foldedMessages.get(log);
  if (text === undefined) foldedMessages.set(log, (text = foldCase(log.message)));
  return text;
}

export function toMicros(time: Timestamp | undefined): bigint {
  return time === undefined ? 0n : time.seconds * 1_000_000n + BigInt(Math.floor(time.nanos / 1000));
}
