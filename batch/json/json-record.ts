import { limits } from "../limits.ts";
import { attributeTags, recordTags, unreadableTags } from "../log-tags.ts";
import { quoted } from "../quoted.ts";
import { FieldNames } from "./field-names.ts";
import { findField, shortText, shown } from "./json-fields.ts";
import { readSeverity, readTime, type Wide } from "./json-numbers.ts";
import { type JsonKind, type JsonReader, jsonKind, kindNames } from "./json-reader.ts";
import type { JsonText, WireWriter } from "./wire-writer.ts";

const field = { time: 1, severity: 2, logger: 3, message: 4, attributes: 5 } as const;
type Field = (typeof field)[keyof typeof field];

const names = new FieldNames<Field>({
  time_unix_nano: field.time,
  severity: field.severity,
  logger: field.logger,
  message: field.message,
  attributes: field.attributes,
});

/** Numbers for each attribute: start and end of its name, start and end of its value, and whether each is plain. */
const boundsEach = 6;
/** A tag, two lengths, a fixed64, each rounded up: what a field can take on the wire beside its text. */
const fieldBytesMax = 24;

/**
 * One record in JSON: where its fields lie, and what is wrong with them. One object serves all records of a batch, so
 * that reading one allocates nothing as a rule. What is given twice counts as given last, and null as not given.
 */
export class JsonRecord {
  /** Keys that log.proto does not have. */
  unknownFields = 0;
  readonly #time: Wide = { high: 0, low: 0 };
  #severity = 0;
  readonly #logger: JsonText = { start: 0, end: 0, isPlain: true };
  readonly #message: JsonText = { start: 0, end: 0, isPlain: true };
  #attributeCount = 0;
  #attributeBytes = 0;
  readonly #attributes = new Int32Array(boundsEach * limits.attributesMax);
  /** By field. */
  readonly #problems: (string | undefined)[] = [];

  /** Reads the value that begins at the reader's position, whatever it is. Returns why it is no record, if it is none. */
  read(reader: JsonReader): string | undefined {
    this.#clear();
    const kind = reader.kind();
    if (kind !== jsonKind.object) {
      reader.skip(kind);
      return `record is ${kindNames[kind]}, wanted an object`;
    }
    reader.enter();
    for (let isFirst = true; reader.nextKey(isFirst); isFirst = false) {
      const found = findField(names, reader);
      if (found !== undefined) this.#readField(found, reader);
      else {
        this.unknownFields += 1;
        reader.skip(reader.kind());
      }
    }
    if (this.#attributeCount > limits.attributesMax) {
      this.#problems[field.attributes] ??=
        `attributes has ${this.#attributeCount} entries, the limit is ${limits.attributesMax}`;
    }
    return this.#problems.find((problem) => problem !== undefined);
  }

  /** More than this the record does not take on the wire. */
  get bytesMax(): number {
    const texts = lengthOf(this.#logger) + lengthOf(this.#message) + this.#attributeBytes;
    return texts + fieldBytesMax * (5 + 2 * this.#attributeCount);
  }

  /** Writes the fields in the order of log.proto, as every protobuf library does. */
  write(writer: WireWriter, reader: JsonReader): void {
    const { high, low } = this.#time;
    if (high !== 0 || low !== 0) {
      writer.varint(recordTags.timeUnixNano);
      writer.fixed64(high, low);
    }
    if (this.#severity !== 0) {
      writer.varint(recordTags.severity);
      writer.varint64(this.#severity < 0 ? 0xffff_ffff : 0, this.#severity >>> 0);
    }
    if (lengthOf(this.#logger) > 0) writer.text(recordTags.logger, reader, this.#logger);
    if (lengthOf(this.#message) > 0) writer.text(recordTags.message, reader, this.#message);
    const bounds = this.#attributes;
    for (let at = 0; at < boundsEach * this.#attributeCount; at += boundsEach) {
      const key = { start: bounds[at]!, end: bounds[at + 1]!, isPlain: bounds[at + 2] === 1 };
      const value = { start: bounds[at + 3]!, end: bounds[at + 4]!, isPlain: bounds[at + 5] === 1 };
      const bytesMax = lengthOf(key) + lengthOf(value) + 2 * fieldBytesMax;
      const start = writer.open(recordTags.attributes, bytesMax);
      writer.text(attributeTags.key, reader, key);
      writer.text(attributeTags.value, reader, value);
      writer.close(start, bytesMax);
    }
  }

  #clear(): void {
    this.unknownFields = 0;
    this.#problems.length = 0;
    this.#time.high = this.#time.low = 0;
    this.#severity = 0;
    this.#logger.end = this.#logger.start = 0;
    this.#message.end = this.#message.start = 0;
    this.#attributeCount = this.#attributeBytes = 0;
  }

  #readField(which: Field, reader: JsonReader): void {
    if (this.#problems.length > 0) this.#problems[which] = undefined; // that of an earlier value
    const kind = reader.kind();
    if (which === field.time) this.#readTime(reader, kind);
    else if (which === field.severity) this.#readSeverity(reader, kind);
    else if (which === field.logger) this.#readText(which, reader, kind, this.#logger);
    else if (which === field.message) this.#readText(which, reader, kind, this.#message);
    else this.#readAttributes(reader, kind);
  }

  #readTime(reader: JsonReader, kind: JsonKind): void {
    const start = reader.position;
    this.#time.high = this.#time.low = 0;
    reader.skip(kind);
    if (kind === jsonKind.null) return;
    if (kind === jsonKind.string || kind === jsonKind.number) {
      const { bytes, start: from, end } = shortText(reader);
      if (readTime(bytes, from, end, this.#time)) return;
    }
    const wanted = "wanted nanoseconds since 1970 or RFC 3339, from 1970 to 2554";
    this.#problems[field.time] = `time_unix_nano is ${shown(reader, start)}, ${wanted}`;
  }

  #readSeverity(reader: JsonReader, kind: JsonKind): void {
    const start = reader.position;
    this.#severity = 0;
    reader.skip(kind);
    if (kind === jsonKind.null) return;
    if (kind === jsonKind.string || kind === jsonKind.number) {
      const { bytes, start: from, end } = shortText(reader);
      const severity = readSeverity(bytes, from, end, this.#wide);
      if (severity !== undefined) {
        this.#severity = severity;
        return;
      }
    }
    this.#problems[field.severity] =
      `severity is ${shown(reader, start)}, wanted a name such as WARN or a number from 0 to ${limits.severityMax}`;
  }

  readonly #wide: Wide = { high: 0, low: 0 };

  #readText(
    which: typeof field.logger | typeof field.message,
    reader: JsonReader,
    kind: JsonKind,
    text: JsonText,
  ) {
    const start = reader.position;
    text.end = text.start;
    reader.skip(kind);
    if (kind === jsonKind.null) return;
    if (kind === jsonKind.string) {
      text.start = reader.start;
      text.end = reader.end;
      text.isPlain = reader.isPlain;
      return;
    }
    const name = which === field.logger ? "logger" : "message";
    this.#problems[which] = `${name} is ${shown(reader, start)}, wanted a string`;
  }

  #readAttributes(reader: JsonReader, kind: JsonKind): void {
    this.#attributeCount = this.#attributeBytes = 0;
    if (kind !== jsonKind.object) {
      const start = reader.position;
      reader.skip(kind);
      if (kind === jsonKind.null) return;
      this.#problems[field.attributes] = `attributes is ${shown(reader, start)}, wanted an object`;
      return;
    }
    reader.enter();
    for (let isFirst = true; reader.nextKey(isFirst); isFirst = false) this.#readAttribute(reader);
  }

  /** Its name was read last. Numbers, true and false are stored as the text that they are in JSON. */
  #readAttribute(reader: JsonReader): void {
    const { start: nameStart, end: nameEnd, isPlain: nameIsPlain } = reader;
    const kind = reader.kind();
    const start = reader.position;
    reader.skip(kind);
    if (kind === jsonKind.null) return;
    if (kind === jsonKind.object || kind === jsonKind.array) {
      const name = quoted(reader.bytes.subarray(nameStart, nameEnd));
      this.#problems[field.attributes] ??=
        `attributes[${name}] is ${kindNames[kind]}, wanted a string, a number, true, false or null`;
      return;
    }
    const isText = kind === jsonKind.string;
    const valueStart = isText ? reader.start : start;
    const valueEnd = isText ? reader.end : reader.position;
    if (this.#attributeCount < limits.attributesMax) {
      const [bounds, at] = [this.#attributes, boundsEach * this.#attributeCount];
      bounds[at] = nameStart;
      bounds[at + 1] = nameEnd;
      bounds[at + 2] = nameIsPlain ? 1 : 0;
      bounds[at + 3] = valueStart;
      bounds[at + 4] = valueEnd;
      bounds[at + 5] = !isText || reader.isPlain ? 1 : 0;
      this.#attributeBytes += nameEnd - nameStart + valueEnd - valueStart;
    }
    this.#attributeCount += 1;
  }
}

/** Writes what stands for a record that could not be read; of its text no more than `keptBytesMax`. */
export function writeUnreadable(
  writer: WireWriter,
  json: Buffer,
  reason: string,
  keptBytesMax: number,
): number {
  const kept = Math.min(json.length, keptBytesMax);
  const why = Buffer.from(reason);
  const bytesMax = kept + why.length + 2 * fieldBytesMax;
  const start = writer.open(recordTags.unreadable, bytesMax);
  writer.varint(unreadableTags.json);
  writer.varint(kept);
  writer.raw(json, 0, kept);
  writer.varint(unreadableTags.jsonBytes);
  writer.varint(json.length);
  writer.varint(unreadableTags.reason);
  writer.varint(why.length);
  writer.raw(why, 0, why.length);
  writer.close(start, bytesMax);
  return kept;
}

function lengthOf({ start, end }: JsonText): number {
  return end - start;
}
