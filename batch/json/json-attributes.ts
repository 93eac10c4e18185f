import { limits } from "../limits.ts";
import { attributeTags } from "../log-tags.ts";
import type { FieldFault } from "../record-fault.ts";
import {
  type AttributePlace,
  type AttributeProblem,
  describeAttributeProblem,
  wanted,
  wantedIn,
} from "./attribute-problem.ts";
import { FieldNames } from "./field-names.ts";
import { findField, shortText } from "./json-fields.ts";
import { type JsonKind, jsonKind } from "./json-kind.ts";
import { readDouble, readZigzag, type Wide } from "./json-numbers.ts";
import type { JsonReader } from "./json-reader.ts";
import type { WireWriter } from "./wire-writer.ts";

/** The tag of each field stands for it. */
const names = new FieldNames<number>({
  key: attributeTags.key,
  string_value: attributeTags.stringValue,
  bool_value: attributeTags.boolValue,
  int_value: attributeTags.intValue,
  double_value: attributeTags.doubleValue,
});

/** Start and end of the name, whether it is plain, and the same of a value that is a text. */
const boundsEach = 6;
const valueAt = 3;
/** An attribute besides its texts: two tags, three lengths and a number, rounded up. */
const besideTextsMax = 40;

/**
 * The attributes of a record, a batch or a device in JSON: an object, or a list as protobuf writes it. One object serves
 * all records of a batch. Beyond the limit they are only counted.
 */
export class JsonAttributes {
  count = 0;
  /** Keys of listed attributes that log.proto does not have. */
  unknownFields = 0;
  #problem: AttributeProblem | undefined;
  #textBytes = 0;
  readonly #bounds = new Int32Array(boundsEach * (limits.attributesMax + 1));
  /** Of each value; 0: it is null. */
  readonly #tags = new Uint8Array(limits.attributesMax + 1);
  readonly #numbers = new Float64Array(limits.attributesMax + 1);
  /** Zigzag, in two halves. */
  readonly #ints = new Uint32Array(2 * (limits.attributesMax + 1));
  readonly #wide: Wide = { high: 0, low: 0 };

  clear(): void {
    this.count = this.unknownFields = this.#textBytes = 0;
    this.#problem = undefined;
  }

  /** Reads the value that begins at the reader's position, whatever it is, in place of what was read before. */
  read(reader: JsonReader): void {
    this.clear();
    const kind = reader.kind();
    if (kind === jsonKind.object) {
      reader.enter();
      for (let isFirst = true; reader.nextKey(isFirst); isFirst = false) this.#readMember(reader);
    } else if (kind === jsonKind.array) {
      reader.enter();
      for (let isFirst = true; reader.nextElement(isFirst); isFirst = false) this.#readElement(reader);
    } else {
      const start = reader.position;
      reader.skip(kind);
      if (kind !== jsonKind.null) this.#report(reader, kind, start, wanted.attributes, undefined);
    }
  }

  /** The first problem of the attributes in `field`. */
  fault({ bytes }: JsonReader, field: string): FieldFault | undefined {
    if (this.#problem === undefined) {
      const problem = `has ${this.count} entries, the limit is ${limits.attributesMax}`;
      return this.count <= limits.attributesMax ? undefined : { field, problem };
    }
    return describeAttributeProblem(bytes, this.#problem, field);
  }

  get hasFault(): boolean {
    return this.#problem !== undefined || this.count > limits.attributesMax;
  }

  /** More than this they do not take on the wire. */
  get bytesMax(): number {
    return this.#textBytes + besideTextsMax * this.count;
  }

  /** Writes them, each with `tag`, in the order in which they were read. */
  write(writer: WireWriter, reader: JsonReader, tag: number): void {
    const bounds = this.#bounds;
    for (let index = 0; index < this.count; index++) {
      const at = boundsEach * index;
      const key = { start: bounds[at]!, end: bounds[at + 1]!, isPlain: bounds[at + 2] === 1 };
      const value = { start: bounds[at + 3]!, end: bounds[at + 4]!, isPlain: bounds[at + 5] === 1 };
      const bytesMax = key.end - key.start + value.end - value.start + besideTextsMax;
      const start = writer.open(tag, bytesMax);
      writer.text(attributeTags.key, reader, key);
      const valueTag = this.#tags[index]!;
      if (valueTag === attributeTags.stringValue) writer.text(valueTag, reader, value);
      else if (valueTag !== 0) this.#writeNumber(writer, valueTag, index);
      writer.close(start, bytesMax);
    }
  }

  #writeNumber(writer: WireWriter, tag: number, index: number): void {
    writer.varint(tag);
    if (tag === attributeTags.boolValue) writer.varint(this.#numbers[index]!);
    else if (tag === attributeTags.doubleValue) writer.double(this.#numbers[index]!);
    else writer.varint64(this.#ints[2 * index]!, this.#ints[2 * index + 1]!);
  }

  /** Where the next attribute goes; those beyond the limit share the last place, which is not written. */
  get #place(): number {
    return Math.min(this.count, limits.attributesMax);
  }

  #begin(): void {
    const place = this.#place;
    this.#tags[place] = 0;
    this.#bounds.fill(0, boundsEach * place, boundsEach * (place + 1));
  }

  /** Counts the attribute that was read. */
  #end(): void {
    const at = boundsEach * this.#place;
    const bounds = this.#bounds;
    this.#textBytes += bounds[at + 1]! - bounds[at]! + bounds[at + 4]! - bounds[at + 3]!;
    this.count += 1;
  }

  /** A member of an object; its name was read last. */
  #readMember(reader: JsonReader): void {
    this.#begin();
    const { start: nameStart, end: nameEnd } = reader;
    this.#setText(0, reader);
    const kind = reader.kind();
    const start = reader.position;
    reader.skip(kind);
    const problem = this.#setAny(reader, kind);
    if (problem !== undefined) this.#report(reader, kind, start, problem, { nameStart, nameEnd });
    this.#end();
  }

  /** Sets the value that was read last; returns what was expected of one that cannot be taken. */
  #setAny(reader: JsonReader, kind: JsonKind): string | undefined {
    switch (kind) {
      case jsonKind.string:
        return this.#setString(reader);
      case jsonKind.number:
        return this.#setInt(reader) || this.#setDouble(reader) ? undefined : wanted.number;
      case jsonKind.true:
      case jsonKind.false:
        return this.#setBool(kind);
      case jsonKind.null:
        return undefined;
      case jsonKind.object:
      case jsonKind.array:
        return wanted.any;
    }
  }

  /** An element of a list. */
  #readElement(reader: JsonReader): void {
    this.#begin();
    const kind = reader.kind();
    const start = reader.position;
    if (kind === jsonKind.object) {
      reader.enter();
      for (let isFirst = true; reader.nextKey(isFirst); isFirst = false) this.#readField(reader);
    } else {
      reader.skip(kind);
      this.#report(reader, kind, start, wanted.element, { element: this.count });
    }
    this.#end();
  }

  /** A field of an element, by its name, which was read last. Null is as not given; of several values the last counts. */
  #readField(reader: JsonReader): void {
    const found = findField(names, reader);
    const kind = reader.kind();
    const start = reader.position;
    reader.skip(kind);
    if (found === undefined) this.unknownFields += 1;
    if (found === undefined || kind === jsonKind.null) return;
    const problem = this.#setField(reader, kind, found);
    if (problem !== undefined) this.#report(reader, kind, start, problem, { element: this.count });
  }

  #setField(reader: JsonReader, kind: JsonKind, tag: number): string | undefined {
    const hasDigits = kind === jsonKind.number || kind === jsonKind.string;
    if (tag === attributeTags.key && kind === jsonKind.string) return this.#setText(0, reader);
    if (tag === attributeTags.stringValue && kind === jsonKind.string) return this.#setString(reader);
    if (tag === attributeTags.boolValue && (kind === jsonKind.true || kind === jsonKind.false)) {
      return this.#setBool(kind);
    }
    if (tag === attributeTags.intValue && hasDigits && this.#setInt(reader)) return undefined;
    if (tag === attributeTags.doubleValue && hasDigits && this.#setDouble(reader)) return undefined;
    return wantedIn.get(tag);
  }

  #setString(reader: JsonReader): undefined {
    this.#setTag(attributeTags.stringValue);
    this.#setText(valueAt, reader);
  }

  #setBool(kind: JsonKind): undefined {
    this.#setTag(attributeTags.boolValue);
    this.#numbers[this.#place] = kind === jsonKind.true ? 1 : 0;
  }

  /** False: it is none of 64 bits, or is not written as one. */
  #setInt(reader: JsonReader): boolean {
    const { bytes, start, end } = shortText(reader.bytes, reader);
    if (!readZigzag(bytes, start, end, this.#wide)) return false;
    this.#setTag(attributeTags.intValue);
    const at = 2 * this.#place;
    this.#ints[at] = this.#wide.high;
    this.#ints[at + 1] = this.#wide.low;
    return true;
  }

  #setDouble(reader: JsonReader): boolean {
    const { bytes, start, end } = shortText(reader.bytes, reader);
    const value = readDouble(bytes, start, end);
    if (value === undefined) return false;
    this.#setTag(attributeTags.doubleValue);
    this.#numbers[this.#place] = value;
    return true;
  }

  #setTag(tag: number): void {
    this.#tags[this.#place] = tag;
    this.#bounds.fill(0, boundsEach * this.#place + valueAt, boundsEach * (this.#place + 1));
  }

  /** The text that was read last: the name at 0, a value at `valueAt`. */
  #setText(offset: number, { start, end, isPlain }: JsonReader): undefined {
    const at = boundsEach * this.#place + offset;
    this.#bounds[at] = start;
    this.#bounds[at + 1] = end;
    this.#bounds[at + 2] = isPlain ? 1 : 0;
  }

  #report(reader: JsonReader, kind: JsonKind, start: number, wanted: string, place: AttributePlace): void {
    this.#problem ??= { place, kind, start, end: reader.position, wanted };
  }
}
