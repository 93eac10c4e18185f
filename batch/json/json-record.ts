import { limits } from "../limits.ts";
import { attributeTags, recordTags } from "../log-tags.ts";
import { stringFields } from "../string-fields.ts";
import { FieldNames } from "./field-names.ts";
import { findField, shortText } from "./json-fields.ts";
import { type JsonKind, jsonKind } from "./json-kind.ts";
import { readSeverity, readTime, type Wide } from "./json-numbers.ts";
import type { JsonReader } from "./json-reader.ts";
import { readId } from "./read-id.ts";
import { describeProblem, type JsonValue, type Problem, type RecordValues } from "./record-problem.ts";
import type { JsonText, WireWriter } from "./wire-writer.ts";

const field = { time: 1, severity: 2, attributes: 3, firstString: 4 } as const;

const names = new FieldNames<number>({
  time_unix_nano: field.time,
  severity: field.severity,
  attributes: field.attributes,
  ...Object.fromEntries(stringFields.map(({ name }, index) => [name, field.firstString + index])),
});
const beforeAttributes = stringFields.filter(({ tag }) => tag < recordTags.attributes).length;

/** Numbers for each attribute: start and end of its name, start and end of its value, and whether each is plain. */
const boundsEach = 6;
/** More than any id has, in hex. */
const idCharactersMax = 64;
/** A tag, two lengths, a fixed64, each rounded up: what a field can take on the wire beside its text. */
const fieldBytesMax = 24;

/**
 * One record in JSON: the positions of its fields, and their problems. One object serves all records of a batch, so
 * that reading one allocates nothing as a rule. What is given twice counts as given last, and null as not given; a value
 * is looked at only once the last one is known.
 */
export class JsonRecord {
  /** Keys that log.proto does not have. */
  unknownFields = 0;
  readonly #values: RecordValues = {
    time: emptyValue(),
    severity: emptyValue(),
    attributes: emptyValue(),
    strings: stringFields.map(emptyValue),
  };
  /** Of {@link stringFields}, those that are ids. */
  readonly #ids: (Buffer | undefined)[] = stringFields.map(() => undefined);
  readonly #time: Wide = { high: 0, low: 0 };
  readonly #wide: Wide = { high: 0, low: 0 };
  #severity = 0;
  #attributeCount = 0;
  #attributeBytes = 0;
  readonly #attributes = new Int32Array(boundsEach * limits.attributesMax);
  #attributeProblem: Problem | undefined;
  #problem: Problem | undefined;

  /** Reads the value that begins at the reader's position, whatever it is. False: it is no record, see {@link problem}. */
  read(reader: JsonReader): boolean {
    this.#clear();
    const kind = reader.kind();
    if (kind !== jsonKind.object) {
      reader.skip(kind);
      this.#problem = { field: "record", kind };
      return false;
    }
    reader.enter();
    for (let isFirst = true; reader.nextKey(isFirst); isFirst = false) {
      const found = findField(names, reader);
      const kind = reader.kind();
      if (found === undefined) {
        this.unknownFields += 1;
        reader.skip(kind);
      } else if (found === field.attributes) this.#readAttributes(reader, kind);
      else this.#readValue(reader, kind, this.#valueOf(found));
    }
    this.#problem = this.#findProblem(reader);
    return this.#problem === undefined;
  }

  /** Why the record that was read last cannot be taken: the first reason in the order of log.proto. */
  problem({ bytes }: JsonReader): string {
    return this.#problem === undefined ? "" : describeProblem(bytes, this.#problem, this.#values);
  }

  /** More than this the record does not take on the wire. */
  get bytesMax(): number {
    let texts = this.#attributeBytes;
    for (const value of this.#values.strings) texts += lengthOf(value);
    return texts + fieldBytesMax * (3 + stringFields.length + 2 * this.#attributeCount);
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
    for (let index = 0; index < beforeAttributes; index++) this.#writeString(writer, reader, index);
    this.#writeAttributes(writer, reader);
    for (let index = beforeAttributes; index < stringFields.length; index++) {
      this.#writeString(writer, reader, index);
    }
  }

  #writeString(writer: WireWriter, reader: JsonReader, index: number): void {
    const value = this.#values.strings[index]!;
    if (lengthOf(value) === 0) return;
    const { tag, isId } = stringFields[index]!;
    if (isId) writer.field(tag, this.#ids[index]!);
    else writer.text(tag, reader, value);
  }

  #writeAttributes(writer: WireWriter, reader: JsonReader): void {
    const bounds = this.#attributes;
    for (let at = 0; at < boundsEach * this.#attributeCount; at += boundsEach) {
      const key = { start: bounds[at]!, end: bounds[at + 1]!, isPlain: bounds[at + 2] === 1 };
      const value = { start: bounds[at + 3]!, end: bounds[at + 4]!, isPlain: bounds[at + 5] === 1 };
      const bytesMax = lengthOf(key) + lengthOf(value) + 2 * fieldBytesMax;
      const start = writer.open(recordTags.attributes, bytesMax);
      writer.text(attributeTags.key, reader, key);
      writer.text(attributeTags.stringValue, reader, value);
      writer.close(start, bytesMax);
    }
  }

  #clear(): void {
    const { time, severity, attributes, strings } = this.#values;
    time.kind = severity.kind = attributes.kind = 0;
    for (const value of strings) {
      value.kind = 0;
      value.end = value.start;
    }
    this.unknownFields = 0;
    this.#time.high = this.#time.low = 0;
    this.#severity = 0;
    this.#attributeCount = this.#attributeBytes = 0;
    this.#attributeProblem = undefined;
  }

  #valueOf(which: number): JsonValue {
    const { time, severity, strings } = this.#values;
    if (which === field.time) return time;
    return which === field.severity ? severity : strings[which - field.firstString]!;
  }

  #readValue(reader: JsonReader, kind: JsonKind, value: JsonValue): void {
    value.wholeStart = reader.position;
    reader.skip(kind);
    value.wholeEnd = reader.position;
    const isNull = kind === jsonKind.null;
    const hasText = kind === jsonKind.string || kind === jsonKind.number;
    value.kind = isNull ? 0 : kind;
    value.start = hasText ? reader.start : 0;
    value.end = hasText ? reader.end : 0;
    value.isPlain = reader.isPlain;
  }

  #readAttributes(reader: JsonReader, kind: JsonKind): void {
    this.#attributeCount = this.#attributeBytes = 0;
    this.#attributeProblem = undefined;
    if (kind !== jsonKind.object) {
      this.#readValue(reader, kind, this.#values.attributes);
      if (kind !== jsonKind.null) this.#attributeProblem = { field: "attributes" };
      return;
    }
    reader.enter();
    for (let isFirst = true; reader.nextKey(isFirst); isFirst = false) this.#readAttribute(reader);
    if (this.#attributeCount > limits.attributesMax)
      this.#attributeProblem ??= { field: "attributeCount", count: this.#attributeCount };
  }

  #findProblem({ bytes }: JsonReader): Problem | undefined {
    const { time, severity, strings } = this.#values;
    if (time.kind !== 0) {
      const text = hasText(time) ? shortText(bytes, time) : undefined;
      if (!text || !readTime(text.bytes, text.start, text.end, this.#time)) return { field: "time" };
    }
    if (severity.kind !== 0) {
      const text = hasText(severity) ? shortText(bytes, severity) : undefined;
      const number = text && readSeverity(text.bytes, text.start, text.end, this.#wide);
      if (number === undefined) return { field: "severity" };
      this.#severity = number;
    }
    for (let index = 0; index < strings.length; index++) {
      const value = strings[index]!;
      if (value.kind !== 0 && !this.#isString(bytes, value, index)) return { field: "string", index };
    }
    return this.#attributeProblem;
  }

  #isString(bytes: Buffer, value: JsonValue, index: number): boolean {
    if (value.kind !== jsonKind.string) return false;
    const { isId, bytesMax } = stringFields[index]!;
    if (!isId) return true;
    const text = shortText(bytes, value);
    if (text.end - text.start > idCharactersMax) return false;
    const id = readId(text.bytes.toString("latin1", text.start, text.end), bytesMax);
    this.#ids[index] = id;
    return id !== undefined;
  }

  /** Its name was read last. Numbers, true and false are stored as the text that they are in JSON. */
  #readAttribute(reader: JsonReader): void {
    const { start: nameStart, end: nameEnd, isPlain: nameIsPlain } = reader;
    const kind = reader.kind();
    const start = reader.position;
    reader.skip(kind);
    if (kind === jsonKind.null) return;
    if (kind === jsonKind.object || kind === jsonKind.array) {
      this.#attributeProblem ??= { field: "attribute", kind, start: nameStart, end: nameEnd };
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

function emptyValue(): JsonValue {
  return { kind: 0, start: 0, end: 0, isPlain: true, wholeStart: 0, wholeEnd: 0 };
}

function hasText({ kind }: JsonValue): boolean {
  return kind === jsonKind.string || kind === jsonKind.number;
}

function lengthOf({ start, end }: JsonText): number {
  return end - start;
}
