import type { FormWriter } from "#batch/form-writer.ts";
import { limits } from "#batch/limits.ts";
import type { WireReader } from "#batch/wire-reader.ts";
import { type AnyValue, KeyValue, valueKind } from "./any-value.ts";
import type { JsonText } from "./json-text.ts";

/** The tags of fleetlog.v1.Attribute. */
const tags = { key: 0x0a, string: 0x12, bool: 0x18, int: 0x20, double: 0x29 } as const;
/** Room for the length of an attribute: as many bytes as most lengths have. */
const guessedSize = 0x40;

/** By OpenTelemetry's conventions: a record with the same one is the same record. */
const uid = Buffer.from("log.record.uid");

/** Writes attributes of OpenTelemetry as fleetlog.v1.Attribute: the same types; arrays and maps as JSON, bytes as base64. */
export class AttributeWriter {
  readonly #writer: FormWriter;
  readonly #json: JsonText;
  readonly #entry = new KeyValue();

  constructor(writer: FormWriter, json: JsonText) {
    this.#writer = writer;
    this.#json = json;
  }

  /**
   * Copies the KeyValue that fills the next `size` bytes, its name behind `prefix`. Returns why its value is not written
   * to its end, as the end of a sentence.
   */
  copy(reader: WireReader, size: number, tag: number, prefix = ""): string | undefined {
    const entry = this.#entry;
    entry.read(reader, size);
    const start = this.#open(tag);
    if (prefix === "") this.#writer.field(tags.key, reader.bytes, entry.keyStart, entry.keyEnd);
    else this.#text(tags.key, prefix + reader.bytes.toString("utf8", entry.keyStart, entry.keyEnd));
    const problem = this.value(reader, entry.value);
    this.#writer.lengthBefore(start, guessedSize);
    return problem;
  }

  /** Whether the attribute that was copied last is a log.record.uid with a value. */
  wroteUid(bytes: Buffer): boolean {
    const { keyStart, keyEnd, value } = this.#entry;
    return (
      keyEnd - keyStart === uid.length &&
      value.kind === valueKind.string &&
      value.start < value.end &&
      bytes.compare(uid, 0, uid.length, keyStart, keyEnd) === 0
    );
  }

  /** Writes the field of an Attribute that holds the value. */
  value(reader: WireReader, value: AnyValue): string | undefined {
    const [writer, json] = [this.#writer, this.#json];
    switch (value.kind) {
      case valueKind.none:
        return undefined;
      case valueKind.string:
        writer.field(tags.string, reader.bytes, value.start, value.end);
        return undefined;
      case valueKind.bool:
        writer.tag(tags.bool);
        writer.tag(value.isTrue ? 1 : 0);
        return undefined;
      case valueKind.int:
        writer.tag(tags.int);
        writeZigzag(writer, value.low, value.high);
        return undefined;
      case valueKind.double:
        writer.tag(tags.double);
        writer.fixed32(value.low);
        writer.fixed32(value.high);
        return undefined;
      default: {
        writer.tag(tags.string);
        const start = ++writer.position;
        json.reset(limits.attributeValueBytesMax);
        if (value.kind === valueKind.bytes) json.base64(reader.bytes, value.start, value.end);
        else json.value(reader, value);
        writer.lengthBefore(start, 0);
        return json.problem;
      }
    }
  }

  text(tag: number, key: string, value: string): void {
    const start = this.#open(tag);
    this.#text(tags.key, key);
    this.#text(tags.string, value);
    this.#writer.lengthBefore(start, guessedSize);
  }

  /** `value` is not negative. */
  number(tag: number, key: string, value: number): void {
    const start = this.#open(tag);
    this.#text(tags.key, key);
    this.#writer.tag(tags.int);
    writeZigzag(this.#writer, value | 0, 0);
    this.#writer.lengthBefore(start, guessedSize);
  }

  #open(tag: number): number {
    this.#writer.tag(tag);
    return ++this.#writer.position;
  }

  #text(tag: number, text: string): void {
    this.#writer.field(tag, Buffer.from(text));
  }
}

/** A signed number of 64 bits, as sint64 has it: small ones are short, whatever their sign. */
function writeZigzag(writer: FormWriter, low: number, high: number): void {
  const sign = high >> 31;
  let restLow = ((low << 1) ^ sign) >>> 0;
  let restHigh = (((high << 1) | (low >>> 31)) ^ sign) >>> 0;
  while (restHigh > 0) {
    writer.tag((restLow & 0x7f) | 0x80);
    restLow = ((restLow >>> 7) | (restHigh << 25)) >>> 0;
    restHigh >>>= 7;
  }
  writer.varint(restLow);
}
