import type { JsonObject } from "@bufbuild/protobuf";
import { stringFields, stringValues } from "#batch/string-fields.ts";
import { BinaryArray } from "#postgres/binary-array.ts";
import { readFields } from "#postgres/binary-rows.ts";
import type { Severity } from "#proto/gen/fleetlog/v1/log_pb.ts";
import type { TimeSource } from "#proto/gen/fleetlog/v1/query_pb.ts";
import { foldCase } from "#search/fold-case.ts";
import { hasAttribute, mergeAttributes, parseStoredAttributes } from "./attributes.ts";
import { type FoldedText, foldsInto, lowerLatin1 } from "./folded-text.ts";
import type { AttributeSearch, LogBlock, LoggerPrefix } from "./log-block.ts";
import type { RecordValues } from "./read-blocks.ts";
import type { StoredBatch } from "./stored-batch.ts";

/** The array columns of record_batches. */
export type BlockColumn =
  | "times"
  | "severities"
  | "loggers"
  | "messages"
  | "attributes"
  | "indexes"
  | "trace_ids"
  | "span_ids"
  | "event_names"
  | "severity_texts"
  | "uptimes"
  | "observed_times"
  | "flags";

/** A row of record_batches, or those of its columns that were read. Records are decoded one by one when they are asked for. */
export class StoredBlock implements LogBlock {
  readonly batch: StoredBatch;
  readonly firstIndex: number;
  readonly count: number;
  /** The bytes of the row. */
  readonly size: number;
  readonly #times: BinaryArray;
  readonly #columns: ReadonlyMap<BlockColumn, BinaryArray>;
  #lowerMessages: LowerMessages | undefined;

  /** `row` has first_index, then `columns`, times among them. */
  constructor(batch: StoredBatch, row: Buffer, columns: readonly BlockColumn[]) {
    const [, firstIndex, ...fields] = readFields(row);
    this.batch = batch;
    this.size = row.length;
    this.firstIndex = firstIndex?.readInt32BE() ?? 0;
    const arrays = new Map<BlockColumn, BinaryArray>();
    for (const [index, column] of columns.entries()) {
      const field = fields[index];
      if (field !== undefined) arrays.set(column, new BinaryArray(field));
    }
    this.#columns = arrays;
    this.#times = arrays.get("times") as BinaryArray;
    this.count = this.#times.length;
  }

  index(place: number): number {
    return this.#columns.get("indexes")?.int4(place) ?? this.firstIndex + place;
  }

  timeMicros(place: number): bigint {
    return this.#times.int8(place) + epochMicros;
  }

  /** Exact up to 2^53, which is 285 years. */
  microsSince(place: number, origin: BlockTime): number {
    return this.#times.int8Since(place, origin.high, origin.low);
  }

  severity(place: number): number {
    return this.#columns.get("severities")?.int2(place) ?? 0;
  }

  logger(place: number): string {
    return this.#columns.get("loggers")?.text(place) ?? "";
  }

  message(place: number): string {
    return this.#columns.get("messages")?.text(place) ?? "";
  }

  /** Those of its batch and its own. */
  attributes(place: number): JsonObject {
    return mergeAttributes(this.batch.attributes, this.#ownAttributes(place));
  }

  /** The size of its message and attributes, those of its batch included. */
  bytes(place: number): number {
    const message = this.#columns.get("messages")?.size(place) ?? 0;
    const own = this.#columns.get("attributes")?.size(place) ?? 0;
    return message + Math.max(own, 0) + this.batch.attributesSize;
  }

  mayHaveTrace(traceId: Buffer): boolean {
    return this.#columns.get("trace_ids")?.bytes.includes(traceId) ?? false;
  }

  hasTrace(place: number, traceId: Buffer): boolean {
    return this.#columns.get("trace_ids")?.slice(place)?.equals(traceId) ?? false;
  }

  mayHaveLogger({ bytes }: LoggerPrefix): boolean {
    return this.#columns.get("loggers")?.bytes.includes(bytes) ?? false;
  }

  hasLogger(place: number, { bytes }: LoggerPrefix): boolean {
    const loggers = this.#columns.get("loggers");
    return loggers?.startsWith(place, bytes) ?? false;
  }

  mayHaveAttribute(attribute: AttributeSearch): boolean {
    if (hasAttribute(this.batch.attributes, attribute)) return true;
    const own = this.#columns.get("attributes")?.bytes;
    return own !== undefined && own.includes(attribute.nameJson) && mayHaveValue(own, attribute);
  }

  hasAttribute(place: number, attribute: AttributeSearch): boolean {
    const ofBatch = hasAttribute(this.batch.attributes, attribute);
    const own = this.#columns.get("attributes")?.slice(place);
    if (own === undefined || !own.includes(attribute.nameJson)) return ofBatch;
    if (!ofBatch && !mayHaveValue(own, attribute)) return false;
    return hasAttribute(this.attributes(place), attribute);
  }

  mayContain(text: FoldedText): boolean {
    return this.#lower().mayContain(text);
  }

  contains(place: number, text: FoldedText): boolean {
    return this.#lower().contains(place, text);
  }

  /** All fields of a record; the columns must have been read. */
  record(place: number): RecordValues {
    const flags = this.#scalar("flags", place)?.readInt16BE() ?? 0;
    return {
      severity: this.severity(place) as Severity,
      attributes: this.#ownAttributes(place),
      uptimeNanos: this.#scalar("uptimes", place)?.readBigUInt64BE() ?? 0n,
      observedMicros: toMicros(this.#scalar("observed_times", place)),
      isTextRepaired: (flags & 1) !== 0,
      timeSource: (flags >> 1) as TimeSource,
      ...stringValues(({ name, isId }) => {
        const column = this.#columns.get(columnNames.get(name) as BlockColumn);
        if (!isId) return column?.text(place) ?? "";
        const id = column?.slice(place);
        return id === undefined ? noId : Buffer.from(id);
      }),
    };
  }

  #ownAttributes(place: number): JsonObject {
    return parseStoredAttributes(this.#columns.get("attributes")?.text(place) ?? "");
  }

  #scalar(column: BlockColumn, place: number): Buffer | undefined {
    return this.#columns.get(column)?.slice(place);
  }

  #lower(): LowerMessages {
    return (this.#lowerMessages ??= new LowerMessages(this.#columns.get("messages") as BinaryArray));
  }
}

function mayHaveValue(own: Buffer, { valueJson }: AttributeSearch): boolean {
  return valueJson === undefined || own.includes(valueJson);
}

/** The messages of a block in lower case, all at once: one by one it costs three times as much. */
class LowerMessages {
  readonly #messages: BinaryArray;
  readonly #lower: string;
  #foldsInto: boolean | undefined;
  /** The text that was searched for last, and where it is found first at or after a position. */
  #searched: string | undefined;
  #from = 0;
  #found = -1;

  constructor(messages: BinaryArray) {
    this.#messages = messages;
    this.#lower = lowerLatin1(messages.bytes);
  }

  mayContain(text: FoldedText): boolean {
    return this.#isUncertain(text) || this.#find(text.piece, 0) >= 0;
  }

  contains(place: number, text: FoldedText): boolean {
    if (!this.#isUncertain(text)) {
      const start = this.#messages.start(place);
      const found = this.#find(text.piece, start);
      if (found < 0 || found + text.piece.length > start + this.#messages.size(place)) return false;
      if (text.isPiece) return true;
    }
    return foldCase(this.#messages.text(place)).includes(text.folded);
  }

  /** Whether it may be there although its piece is not. */
  #isUncertain({ piece, hasFoldedInto }: FoldedText): boolean {
    return piece === "" || (hasFoldedInto && (this.#foldsInto ??= foldsInto(this.#lower)));
  }

  /** Records are checked one after another, so that the next place of a piece answers for all before it. */
  #find(piece: string, from: number): number {
    const isKnown =
      this.#searched === piece && this.#from <= from && (this.#found >= from || this.#found < 0);
    if (!isKnown) {
      this.#found = this.#lower.indexOf(piece, from);
      this.#searched = piece;
      this.#from = from;
    }
    return this.#found;
  }
}

/** A time in the two halves of an int8. */
export interface BlockTime {
  readonly high: number;
  readonly low: number;
}

export function toBlockTime(micros: bigint): BlockTime {
  const time = micros - epochMicros;
  return { high: Number(time >> 32n), low: Number(BigInt.asUintN(32, time)) };
}

/** From the start of 1970 to that of 2000, from which PostgreSQL counts. */
const epochMicros = 946_684_800_000_000n;

function toMicros(time: Buffer | undefined): bigint | undefined {
  return time === undefined ? undefined : time.readBigInt64BE() + epochMicros;
}

const noId = new Uint8Array();

/** By the names of fields. */
const columnNames: ReadonlyMap<string, string> = new Map(stringFields.map(({ name }) => [name, `${name}s`]));
