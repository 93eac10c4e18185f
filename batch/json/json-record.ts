import { recordTags } from "../log-tags.ts";
import { stringFields } from "../string-fields.ts";
import { FieldNames } from "./field-names.ts";
import { JsonAttributes } from "./json-attributes.ts";
import { findField, shortText } from "./json-fields.ts";
import { type JsonKind, jsonKind } from "./json-kind.ts";
import { readSeverity, readTime, readWhole, type Wide } from "./json-numbers.ts";
import type { JsonReader } from "./json-reader.ts";
import { readId } from "./read-id.ts";
import {
  describeProblem,
  type JsonValue,
  type Problem,
  type RecordValues,
  timeFields,
} from "./record-problem.ts";
import type { JsonText, WireWriter } from "./wire-writer.ts";

const field = { severity: 1, attributes: 2, firstTime: 3, firstString: 3 + timeFields.length } as const;

const names = new FieldNames<number>({
  severity: field.severity,
  attributes: field.attributes,
  ...Object.fromEntries(timeFields.map(({ name }, index) => [name, field.firstTime + index])),
  ...Object.fromEntries(stringFields.map(({ name }, index) => [name, field.firstString + index])),
});
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
    times: timeFields.map(emptyValue),
    severity: emptyValue(),
    strings: stringFields.map(emptyValue),
  };
  /** Of {@link stringFields}, those that are ids. */
  readonly #ids: (Buffer | undefined)[] = stringFields.map(() => undefined);
  readonly #times = timeFields.map((): Wide => ({ high: 0, low: 0 }));
  readonly #wide: Wide = { high: 0, low: 0 };
  #severity = 0;
  readonly #attributes = new JsonAttributes();
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
      } else if (found === field.attributes) {
        this.#attributes.read(reader);
        this.unknownFields += this.#attributes.unknownFields;
      } else this.#readValue(reader, kind, this.#valueOf(found));
    }
    this.#problem = this.#findProblem(reader);
    return this.#problem === undefined;
  }

  /** Why the record that was read last cannot be taken: the first reason in the order of log.proto. */
  problem(reader: JsonReader): string {
    const problem = this.#problem;
    if (problem === undefined) return "";
    if (problem.field !== "attributes") return describeProblem(reader.bytes, problem, this.#values);
    const fault = this.#attributes.fault(reader, "attributes");
    return fault === undefined ? "" : `${fault.field} ${fault.problem}`;
  }

  /** More than this the record does not take on the wire. */
  get bytesMax(): number {
    let texts = this.#attributes.bytesMax;
    for (const value of this.#values.strings) texts += lengthOf(value);
    return texts + fieldBytesMax * (1 + timeFields.length + stringFields.length);
  }

  /** Writes the fields in the order of log.proto, as every protobuf library does. */
  write(writer: WireWriter, reader: JsonReader): void {
    this.#writeTime(writer, 0);
    if (this.#severity !== 0) {
      writer.varint(recordTags.severity);
      writer.varint64(this.#severity < 0 ? 0xffff_ffff : 0, this.#severity >>> 0);
    }
    let string = this.#writeStrings(writer, reader, 0, recordTags.attributes);
    this.#attributes.write(writer, reader, recordTags.attributes);
    for (let index = 1; index < timeFields.length; index++) {
      string = this.#writeStrings(writer, reader, string, timeFields[index]!.tag);
      this.#writeTime(writer, index);
    }
    this.#writeStrings(writer, reader, string, Number.POSITIVE_INFINITY);
  }

  #writeTime(writer: WireWriter, index: number): void {
    const { high, low } = this.#times[index]!;
    if (high === 0 && low === 0) return;
    writer.varint(timeFields[index]!.tag);
    writer.fixed64(high, low);
  }

  /** Writes those from `from` that come before `tag`; returns which is the next. */
  #writeStrings(writer: WireWriter, reader: JsonReader, from: number, tag: number): number {
    let index = from;
    while (index < stringFields.length && stringFields[index]!.tag < tag)
      this.#writeString(writer, reader, index++);
    return index;
  }

  #writeString(writer: WireWriter, reader: JsonReader, index: number): void {
    const value = this.#values.strings[index]!;
    if (lengthOf(value) === 0) return;
    const { tag, isId } = stringFields[index]!;
    if (isId) writer.field(tag, this.#ids[index]!);
    else writer.text(tag, reader, value);
  }

  #clear(): void {
    const { times, severity, strings } = this.#values;
    severity.kind = 0;
    for (const value of times) value.kind = 0;
    for (const time of this.#times) time.high = time.low = 0;
    for (const value of strings) {
      value.kind = 0;
      value.end = value.start;
    }
    this.unknownFields = 0;
    this.#severity = 0;
    this.#attributes.clear();
  }

  #valueOf(which: number): JsonValue {
    const { times, severity, strings } = this.#values;
    if (which === field.severity) return severity;
    return which < field.firstString ? times[which - field.firstTime]! : strings[which - field.firstString]!;
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

  #findProblem({ bytes }: JsonReader): Problem | undefined {
    const { times, severity, strings } = this.#values;
    for (let index = 0; index < times.length; index++) {
      const time = times[index]!;
      if (time.kind !== 0 && !this.#isTime(bytes, time, index)) return { field: "time", index };
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
    return this.#attributes.hasFault ? { field: "attributes" } : undefined;
  }

  #isTime(bytes: Buffer, value: JsonValue, index: number): boolean {
    if (!hasText(value)) return false;
    const text = shortText(bytes, value);
    const read = timeFields[index]!.isTime ? readTime : readWhole;
    return read(text.bytes, text.start, text.end, this.#times[index]!);
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
