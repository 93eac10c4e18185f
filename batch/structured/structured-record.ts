import { Severity } from "#proto/gen/fleetlog/v1/log_pb.ts";
import { shownValue } from "../json/json-fields.ts";
import { type JsonKind, jsonKind, kindNames } from "../json/json-kind.ts";
import { readTime, type Wide } from "../json/json-numbers.ts";
import type { JsonReader } from "../json/json-reader.ts";
import { readId } from "../json/read-id.ts";
import type { JsonText, WireWriter } from "../json/wire-writer.ts";
import { jsonBytesPerByteMax } from "../json-bytes.ts";
import { limits } from "../limits.ts";
import { recordTags } from "../log-tags.ts";
import { epochNanos } from "./epoch-time.ts";
import {
  eventNames,
  levelNames,
  loggerNames,
  messageNames,
  severityNumberNames,
  spanIdNames,
  timeNames,
  traceIdNames,
} from "./field-names.ts";
import { parseSeverityField } from "./severity-field.ts";
import { writeAttribute } from "./write-attribute.ts";

/** A value at the end of a path of names, `net.wifi.rssi`; an array, or an object too deep, counts as one value. */
export interface Leaf extends JsonText {
  readonly path: string;
  readonly kind: JsonKind;
}

/** Beside 64 attributes, a record has the fields with a meaning. */
const leavesMax = limits.attributesMax + 16;
/** Nested objects become dotted names up to here; a deeper one is kept as JSON. */
const depthMax = 8;
/** Longer texts are no time, level or id. */
const shortBytesMax = 64;

/**
 * One structured log record as shippers and logging libraries write it: a JSON object with fields under their usual
 * names, in any order. Fields with a meaning become those of a LogRecord, all others typed attributes; nested objects
 * become dotted names, or JSON where that would exceed the limit of attributes. A text alone is a message. A field whose
 * value does not have the form of its name, such as `"time": "noon"`, is an attribute like others: nothing is left out
 * but null.
 */
export class StructuredRecord {
  /** Of two values under one path the last counts. */
  readonly #leaves = new Map<string, Leaf>();
  /** Leaves beyond {@link leavesMax}. */
  #excess = 0;
  #problem = "";

  /** Reads the value that begins at the reader's position, whatever it is. False: it is no record, see {@link problem}. */
  read(reader: JsonReader): boolean {
    const kind = reader.kind();
    const start = reader.position;
    this.#clear();
    if (kind === jsonKind.object) {
      this.#readObject(reader, "", depthMax);
      if (this.#leaves.size > limits.attributesMax || this.#problem !== "") {
        reader.position = start;
        this.#clear();
        this.#readObject(reader, "", 1);
      }
    } else {
      this.#addValue(reader, kind, "message");
      if (kind !== jsonKind.string) this.#problem = `record is ${kindNames[kind]}, expected an object`;
    }
    if (this.#excess > 0) {
      const count = this.#leaves.size + this.#excess;
      this.#problem ||= `record has ${count} fields, the limit of attributes is ${limits.attributesMax}`;
    }
    return this.#problem === "";
  }

  /** Why the value that was read last is no record. */
  get problem(): string {
    return this.#problem;
  }

  /** Writes the fields of a LogRecord in their order. Returns whether it has a time. */
  write(writer: WireWriter, { bytes }: Pick<JsonReader, "bytes">): boolean {
    const time = this.#take(timeNames, (leaf) => toTime(bytes, leaf));
    if (time !== undefined) {
      writer.varint(recordTags.timeUnixNano);
      writer.fixed64(time.high, time.low);
    }
    const severity = this.#takeSeverity(bytes);
    if (severity !== undefined) {
      writer.varint(recordTags.severity);
      writer.varint(severity.number);
    }
    this.#writeText(writer, bytes, recordTags.logger, loggerNames);
    this.#writeText(writer, bytes, recordTags.message, messageNames);
    const traceId = this.#take(traceIdNames, (leaf) => toId(bytes, leaf, limits.traceIdBytes));
    const spanId = this.#take(spanIdNames, (leaf) => toId(bytes, leaf, limits.spanIdBytes));
    const eventName = this.#take(eventNames, toText);
    for (const leaf of this.#leaves.values()) writeAttribute(writer, bytes, leaf);
    if (traceId) writer.field(recordTags.traceId, traceId);
    if (spanId) writer.field(recordTags.spanId, spanId);
    if (eventName) writer.text(recordTags.eventName, { bytes }, eventName);
    if (severity && severity.text !== "") {
      writer.field(recordTags.severityText, Buffer.from(severity.text));
    }
    return time !== undefined;
  }

  #clear(): void {
    this.#leaves.clear();
    this.#excess = 0;
    this.#problem = "";
  }

  #readObject(reader: JsonReader, prefix: string, levels: number): void {
    reader.enter();
    for (let isFirst = true; reader.nextKey(isFirst); isFirst = false) {
      const path = toPath(prefix, reader);
      if (path === undefined) {
        const shown = shownValue(reader.bytes, reader.start, reader.end);
        const within = prefix === "" ? "" : `, with those around it,`;
        this.#problem ||= `the name ${shown}${within} is too long, the limit is ${limits.attributeKeyBytesMax} bytes`;
      }
      const kind = reader.kind();
      if (path === undefined) reader.skip(kind);
      else if (kind === jsonKind.object && levels > 1) this.#readObject(reader, `${path}.`, levels - 1);
      else this.#addValue(reader, kind, path);
    }
  }

  #addValue(reader: JsonReader, kind: JsonKind, path: string): void {
    const wholeStart = reader.position;
    reader.skip(kind);
    if (kind === jsonKind.null) return;
    if (this.#leaves.size >= leavesMax && !this.#leaves.has(path)) {
      this.#excess += 1;
      return;
    }
    const isString = kind === jsonKind.string;
    this.#leaves.set(path, {
      path,
      kind,
      start: isString ? reader.start : wholeStart,
      end: isString ? reader.end : reader.position,
      isPlain: !isString || reader.isPlain,
    });
  }

  /** What the first of the names with a valid value stands for; that field is no attribute then. */
  #take<Value>(names: readonly string[], convert: (leaf: Leaf) => Value | undefined): Value | undefined {
    for (const name of names) {
      const leaf = this.#leaves.get(name);
      const value = leaf && convert(leaf);
      if (value === undefined) continue;
      this.#leaves.delete(name);
      return value;
    }
    return undefined;
  }

  #takeSeverity(bytes: Buffer) {
    return (
      this.#take(severityNumberNames, (leaf) => toSeverityNumber(bytes, leaf)) ??
      this.#take(levelNames, (leaf) => toSeverity(bytes, leaf))
    );
  }

  #writeText(writer: WireWriter, bytes: Buffer, tag: number, names: readonly string[]): void {
    const text = this.#take(names, toText);
    if (text && text.end > text.start) writer.text(tag, { bytes }, text);
  }
}

/** The names around the key that was read last, and the key; undefined: no attribute's name may be as long. */
function toPath(prefix: string, reader: JsonReader): string | undefined {
  const keyBytes = reader.end - reader.start;
  if (keyBytes > jsonBytesPerByteMax * limits.attributeKeyBytesMax) return undefined;
  const path = prefix + textOf(reader.bytes, reader);
  return Buffer.byteLength(path) <= limits.attributeKeyBytesMax ? path : undefined;
}

function textOf(bytes: Buffer, { start, end, isPlain }: JsonText): string {
  const text = bytes.toString("utf8", isPlain ? start : start - 1, isPlain ? end : end + 1);
  return isPlain ? text : (JSON.parse(text) as string).toWellFormed();
}

/** The text of a short string or a number, as it is written. */
function shortTextOf(bytes: Buffer, leaf: Leaf): string | undefined {
  const isText = leaf.kind === jsonKind.string || leaf.kind === jsonKind.number;
  return isText && leaf.end - leaf.start <= shortBytesMax ? textOf(bytes, leaf).trim() : undefined;
}

function toText(leaf: Leaf): JsonText | undefined {
  return leaf.kind === jsonKind.string ? leaf : undefined;
}

const epoch = /^(\d{10,19})(?:\.(\d+))?$/;

/** RFC 3339, or seconds, milliseconds, microseconds or nanoseconds since 1970, by their size. */
function toTime(bytes: Buffer, leaf: Leaf): Wide | undefined {
  const text = shortTextOf(bytes, leaf);
  const digits = text === undefined ? null : epoch.exec(text);
  if (text === undefined) return undefined;
  if (digits !== null) {
    const nanos = epochNanos(digits[1]!, digits[2]);
    return nanos === undefined
      ? undefined
      : { high: Number(nanos >> 32n), low: Number(nanos & 0xffff_ffffn) };
  }
  const time: Wide = { high: 0, low: 0 };
  // Short numbers are no nanoseconds since 1970 here.
  if (!text.includes("-")) return undefined;
  const value = Buffer.from(text);
  return readTime(value, 0, value.length, time) ? time : undefined;
}

/** With the source's own word where the number does not say the same. */
function toSeverity(bytes: Buffer, leaf: Leaf): { number: number; text: string } | undefined {
  const text = shortTextOf(bytes, leaf);
  // "s" is MongoDB's severity, one letter; elsewhere it means seconds.
  if (text === undefined || (leaf.path === "s" && leaf.kind === jsonKind.number)) return undefined;
  const number = parseSeverityField(text);
  if (number === undefined) return undefined;
  const isSaid =
    leaf.kind === jsonKind.number || Severity[text.toUpperCase() as keyof typeof Severity] === number;
  return { number, text: isSaid ? "" : text };
}

function toSeverityNumber(bytes: Buffer, leaf: Leaf): { number: number; text: string } | undefined {
  const number = Number(shortTextOf(bytes, leaf) || Number.NaN);
  const isSeverity = Number.isInteger(number) && number >= 1 && number <= limits.severityMax;
  return isSeverity ? { number, text: "" } : undefined;
}

function toId(bytes: Buffer, leaf: Leaf, size: number): Buffer | undefined {
  const text = leaf.kind === jsonKind.string ? shortTextOf(bytes, leaf) : undefined;
  const id = text ? readId(text, size) : undefined;
  return id?.some((byte) => byte !== 0) ? id : undefined;
}
