import type { FoldedText } from "./folded-text.ts";
import type { AttributeCondition } from "./log-filter.ts";

/** What the records of a batch have in common. */
export interface BatchTraits {
  readonly deviceId: string;
  readonly sessionId: string;
  /** Bit s is set when a record has severity s. */
  readonly severities: number;
  /** All records happened from the first to the last; undefined: unknown. */
  readonly span: { readonly firstMicros: bigint; readonly lastMicros: bigint } | undefined;
}

/** A prefix of loggers, as text and as bytes. */
export interface LoggerPrefix {
  readonly text: string;
  readonly bytes: Buffer;
}

/** An attribute, and what the JSON of attributes contains that have it. */
export interface AttributeSearch extends AttributeCondition {
  readonly nameJson: string;
  /** Undefined: any value, or one with several forms. */
  readonly valueJson: string | undefined;
}

/**
 * Some records of a batch, stored or still in the stream, as a filter reads them. What begins with `may` checks all records
 * at once: when it is false, no record meets the condition.
 */
export interface LogBlock {
  readonly batch: BatchTraits;
  readonly count: number;
  timeMicros(place: number): bigint;
  severity(place: number): number;
  mayHaveTrace(traceId: Buffer): boolean;
  hasTrace(place: number, traceId: Buffer): boolean;
  mayHaveLogger(prefix: LoggerPrefix): boolean;
  hasLogger(place: number, prefix: LoggerPrefix): boolean;
  mayHaveAttribute(attribute: AttributeSearch): boolean;
  /** Its own attribute counts, or else that of its batch. */
  hasAttribute(place: number, attribute: AttributeSearch): boolean;
  mayContain(text: FoldedText): boolean;
  contains(place: number, text: FoldedText): boolean;
}
