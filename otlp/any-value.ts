import type { WireReader } from "#batch/wire-reader.ts";
import { anyValueTags, keyValueTags, knownMax } from "./otlp-tags.ts";

/** The kinds of an AnyValue; none is null. */
export const valueKind = {
  none: 0,
  string: 1,
  bool: 2,
  int: 3,
  double: 4,
  array: 5,
  map: 6,
  bytes: 7,
} as const;

/** One AnyValue: its kind, and where its value is. Of several values the last one counts. */
export class AnyValue {
  kind: number = valueKind.none;
  /** Of a string, bytes, an array or a map. */
  start = 0;
  end = 0;
  /** Of a number or bool: the 64 bits. */
  low = 0;
  high = 0;

  /** Reads the AnyValue that fills the next `size` bytes. */
  read(reader: WireReader, size: number): void {
    const outerEnd = reader.end;
    reader.end = reader.position + size;
    this.kind = valueKind.none;
    while (reader.position < reader.end) {
      const tag = reader.tag();
      switch (tag) {
        case anyValueTags.string:
          this.#bounds(reader, valueKind.string);
          break;
        case anyValueTags.array:
          this.#bounds(reader, valueKind.array);
          break;
        case anyValueTags.kvlist:
          this.#bounds(reader, valueKind.map);
          break;
        case anyValueTags.bytes:
          this.#bounds(reader, valueKind.bytes);
          break;
        case anyValueTags.bool:
          reader.varint();
          this.#number(reader, valueKind.bool);
          break;
        case anyValueTags.int:
          reader.varint();
          this.#number(reader, valueKind.int);
          break;
        case anyValueTags.double:
          reader.fixed64();
          this.#number(reader, valueKind.double);
          break;
        default:
          reader.skipUnknown(tag, knownMax.anyValue);
      }
    }
    reader.end = outerEnd;
  }

  get isTrue(): boolean {
    return this.low !== 0 || this.high !== 0;
  }

  #bounds(reader: WireReader, kind: number): void {
    const size = reader.size();
    this.kind = kind;
    this.start = reader.position;
    this.end = reader.position += size;
  }

  #number(reader: WireReader, kind: number): void {
    this.kind = kind;
    this.low = reader.low;
    this.high = reader.high;
  }
}

/** One KeyValue: where its name is, and its value. */
export class KeyValue {
  keyStart = 0;
  keyEnd = 0;
  readonly value = new AnyValue();

  /** Reads the KeyValue that fills the next `size` bytes. */
  read(reader: WireReader, size: number): void {
    const outerEnd = reader.end;
    reader.end = reader.position + size;
    this.keyStart = this.keyEnd = 0;
    this.value.kind = valueKind.none;
    while (reader.position < reader.end) {
      const tag = reader.tag();
      if (tag === keyValueTags.key) {
        const keySize = reader.size();
        this.keyStart = reader.position;
        this.keyEnd = reader.position += keySize;
      } else if (tag === keyValueTags.value) this.value.read(reader, reader.size());
      else reader.skipUnknown(tag, knownMax.keyValue);
    }
    reader.end = outerEnd;
  }
}

/** The int64 that was read. */
export function toBigInt({ low, high }: AnyValue): bigint {
  return (BigInt(high) << 32n) | BigInt(low >>> 0);
}
