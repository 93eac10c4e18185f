import type { FormWriter } from "#batch/form-writer.ts";
import { firstBadByte } from "#batch/utf8.ts";
import type { WireReader } from "#batch/wire-reader.ts";
import { AnyValue, KeyValue, toBigInt, valueKind } from "./any-value.ts";
import { otlpLimits } from "./limits.ts";
import { knownMax, valuesTag } from "./otlp-tags.ts";

const view = new DataView(new ArrayBuffer(8));
const colon = 0x3a;
const comma = 0x2c;
const quote = 0x22;
const backslash = 0x5c;
const hexDigits = Buffer.from("0123456789abcdef");
const shortEscapes = new Map([
  [0x08, 0x62],
  [0x09, 0x74],
  [0x0a, 0x6e],
  [0x0c, 0x66],
  [0x0d, 0x72],
]);

// One for each depth: a value is written while those around it are read.
const depths = Array.from({ length: otlpLimits.depthMax + 1 }, () => ({
  value: new AnyValue(),
  entry: new KeyValue(),
}));

/**
 * Writes values as JSON text. Text that exceeds `bytesLeft`, or a value that is nested deeper than the limit, is left
 * out, and {@link problem} set: the caller then discards or rejects what it wrote.
 */
export class JsonText {
  readonly #writer: FormWriter;
  bytesLeft = 0;
  #bytesMax = 0;
  /** Why not all was written, as the end of a sentence. */
  problem: string | undefined;
  /** Writes "..." in place of what is nested too deeply, which is no problem then. */
  isAbridged = false;

  constructor(writer: FormWriter) {
    this.#writer = writer;
  }

  reset(bytesMax: number): void {
    this.bytesLeft = this.#bytesMax = bytesMax;
    this.problem = undefined;
  }

  /** A value as JSON. Bytes are base64, in quotes. */
  value(reader: WireReader, value: AnyValue, depth = 0): void {
    switch (value.kind) {
      case valueKind.string:
        return this.string(reader.bytes, value.start, value.end);
      case valueKind.bool:
        return this.text(value.isTrue ? "true" : "false");
      case valueKind.int:
        return this.text(String(toBigInt(value)));
      case valueKind.double:
        return this.text(doubleText(value));
      case valueKind.bytes:
        this.text('"');
        this.base64(reader.bytes, value.start, value.end);
        return this.text('"');
      case valueKind.array:
        return this.#array(reader, value, depth);
      case valueKind.map:
        return this.#map(reader, value, depth);
      default:
        return this.text("null");
    }
  }

  /** ASCII. */
  text(text: string): void {
    if (!this.#reserve(text.length)) return;
    this.#writer.position += this.#writer.buffer.write(text, this.#writer.position, "latin1");
  }

  base64(bytes: Buffer, start: number, end: number): void {
    if (this.#reserve(4 * Math.ceil((end - start) / 3))) {
      const text = bytes.toString("base64", start, end);
      this.#writer.position += this.#writer.buffer.write(text, this.#writer.position, "latin1");
    }
  }

  /** A string in quotes. What is not UTF-8 becomes U+FFFD. */
  string(bytes: Buffer, start: number, end: number): void {
    const cut = Math.min(end, start + Math.max(0, this.bytesLeft));
    if (cut < end && !this.isAbridged) return this.#tooLong();
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    if (firstBadByte(view, start, cut) === cut) return this.#utf8(bytes, start, cut);
    const repaired = Buffer.from(bytes.toString("utf8", start, cut));
    this.#utf8(repaired, 0, repaired.length);
  }

  #utf8(bytes: Buffer, start: number, end: number): void {
    const writer = this.#writer;
    const { buffer } = writer;
    const from = writer.position;
    const last = from + this.bytesLeft - 8;
    let to = from;
    buffer[to++] = quote;
    for (let at = start; at < end && to < last; at++) {
      const byte = bytes[at]!;
      if (byte === quote || byte === backslash) {
        buffer[to++] = backslash;
        buffer[to++] = byte;
      } else if (byte >= 0x20) {
        buffer[to++] = byte;
      } else {
        buffer[to++] = backslash;
        const short = shortEscapes.get(byte);
        if (short !== undefined) buffer[to++] = short;
        else {
          buffer[to++] = 0x75; // u
          buffer[to++] = 0x30;
          buffer[to++] = 0x30;
          buffer[to++] = hexDigits[byte >> 4]!;
          buffer[to++] = hexDigits[byte & 15]!;
        }
      }
    }
    if (to >= last) {
      this.#tooLong();
      if (!this.isAbridged || last <= from) return;
      while ((buffer[to - 1]! & 0xc0) === 0x80) to -= 1;
      if (buffer[to - 1]! >= 0xc0) to -= 1; // the character may have been cut
    }
    buffer[to++] = quote;
    writer.position = to;
    this.bytesLeft -= to - from;
  }

  #array(reader: WireReader, { start, end }: AnyValue, depth: number): void {
    this.#byte(0x5b);
    this.#each(reader, start, end, depth, ({ value }, size) => {
      value.read(reader, size);
      this.value(reader, value, depth + 1);
    });
    this.#byte(0x5d);
  }

  #map(reader: WireReader, { start, end }: AnyValue, depth: number): void {
    this.#byte(0x7b);
    this.#each(reader, start, end, depth, ({ entry }, size) => {
      entry.read(reader, size);
      this.string(reader.bytes, entry.keyStart, entry.keyEnd);
      this.#byte(colon);
      this.value(reader, entry.value, depth + 1);
    });
    this.#byte(0x7d);
  }

  /** Reads the elements in bytes[start, end) one by one, and returns to the position before. */
  #each(
    reader: WireReader,
    start: number,
    end: number,
    depth: number,
    write: (own: (typeof depths)[number], size: number) => void,
  ): void {
    const own = depths[depth];
    if (own === undefined || depth === otlpLimits.depthMax) {
      if (this.isAbridged) return this.text('"..."');
      this.problem ??= `is nested more than ${otlpLimits.depthMax} levels deep`;
      return;
    }
    const { position, end: outerEnd } = reader;
    reader.position = start;
    reader.end = end;
    for (let isFirst = true; reader.position < reader.end && this.problem === undefined; isFirst = false) {
      const tag = reader.tag();
      if (tag !== valuesTag) {
        reader.skipUnknown(tag, knownMax.values);
        continue;
      }
      if (!isFirst) this.#byte(comma);
      const size = reader.size();
      const next = reader.position + size;
      write(own, size);
      reader.position = next;
    }
    reader.position = position;
    reader.end = outerEnd;
  }

  #byte(byte: number): void {
    if (this.#reserve(1)) this.#writer.buffer[this.#writer.position++] = byte;
  }

  #reserve(bytes: number): boolean {
    if (this.bytesLeft < bytes) this.#tooLong();
    else this.bytesLeft -= bytes;
    return this.problem === undefined;
  }

  #tooLong(): void {
    this.problem ??= `is more than ${this.#bytesMax} bytes as JSON, the limit is ${this.#bytesMax}`;
  }
}

/** JSON has no numbers for these three: they are texts, as in protobuf's JSON. */
function doubleText({ low, high }: AnyValue): string {
  view.setInt32(0, high);
  view.setInt32(4, low);
  const number = view.getFloat64(0);
  return Number.isFinite(number) ? String(number) : `"${number}"`;
}
