import type { AttributeList } from "./attribute-list.ts";
import { arrayHeaderBytes, writeBytes, writeNull } from "./copy-format.ts";
import { jsonBytesPerByteMax, writeJsonAttributes } from "./json-bytes.ts";
import type { Timestamp } from "./timestamp.ts";

// An array of a row in PostgreSQL's binary format: a header and, for each element, a length and that many bytes, or -1 for
// NULL. How long the columns of a row become is known after its last record only, so each collects its elements in a buffer
// of its own, which serves one row after the other.

/** The fixed numbers of types in pg_type. */
const elementTypes = { bytea: 17, int8: 20, int2: 21, int4: 23, text: 25, timestamptz: 1184 } as const;

/** Elements of any length, or NULL. The buffer grows to what rows need. */
export class ArrayColumn {
  readonly #type: number;
  #buffer = Buffer.allocUnsafeSlow(4096);
  #view = new DataView(this.#buffer.buffer);
  #position = arrayHeaderBytes;
  #count = 0;
  #hasNull = 0;

  constructor(type: keyof typeof elementTypes) {
    this.#type = elementTypes[type];
  }

  get isEmpty(): boolean {
    return this.#count === 0;
  }

  /** Of the array with its length, so far. */
  get byteCount(): number {
    return 4 + this.#position;
  }

  /** Forgets all elements. */
  clear(): void {
    this.#position = arrayHeaderBytes;
    this.#count = 0;
    this.#hasNull = 0;
  }

  /** Makes the elements that are missing before the one at `place`, from 0, NULL. */
  padTo(place: number): void {
    if (place === this.#count) return;
    const end = this.#reserve(4 * (place - this.#count));
    while (this.#position < end) this.#position = writeNull(this.#view, this.#position);
    this.#count = place;
    this.#hasNull = 1;
  }

  addBytes(bytes: Buffer, start: number, end: number): void {
    this.#reserve(4 + end - start);
    this.#position = writeBytes(this.#buffer, this.#view, this.#position, bytes, start, end);
    this.#count += 1;
  }

  addTime(time: Timestamp): void {
    const end = this.#reserve(12);
    this.#view.setInt32(this.#position, 8);
    time.write(this.#view, this.#position + 4);
    this.#position = end;
    this.#count += 1;
  }

  addInt2(value: number): void {
    const end = this.#reserve(6);
    this.#view.setInt32(this.#position, 2);
    this.#view.setInt16(this.#position + 4, value);
    this.#position = end;
    this.#count += 1;
  }

  addInt8(high: number, low: number): void {
    const end = this.#reserve(12);
    this.#view.setInt32(this.#position, 8);
    this.#view.setInt32(this.#position + 4, high);
    this.#view.setInt32(this.#position + 8, low);
    this.#position = end;
    this.#count += 1;
  }

  /** Adds the JSON text of attributes whose record has `size` bytes. */
  addAttributes(bytes: Buffer, attributes: AttributeList, size: number): void {
    this.#reserve(4 + size * jsonBytesPerByteMax);
    const end = writeJsonAttributes(this.#buffer, this.#position + 4, bytes, attributes);
    this.#view.setInt32(this.#position, end - this.#position - 4);
    this.#position = end;
    this.#count += 1;
  }

  /** Writes the array with its length in front, NULL without any element, and returns the position behind it. */
  write(out: Buffer, view: DataView, position: number): number {
    if (this.#count === 0) return writeNull(view, position);
    writeHeader(this.#view, this.#hasNull, this.#type, this.#count);
    return writeBytes(out, view, position, this.#buffer, 0, this.#position);
  }

  /** Makes room for `count` more bytes, and returns the position behind them. */
  #reserve(count: number): number {
    const wanted = this.#position + count;
    if (wanted > this.#buffer.length) this.#grow(wanted);
    return wanted;
  }

  #grow(wanted: number): void {
    const grown = Buffer.allocUnsafeSlow(Math.max(wanted, 2 * this.#buffer.length));
    this.#buffer.copy(grown, 0, 0, this.#position);
    this.#buffer = grown;
    this.#view = new DataView(grown.buffer);
  }
}

/**
 * Numbers of one type, none of them NULL and a certain number of them at most: their lengths stay in the buffer, so that a
 * record costs the bytes of its number alone. With lengths for each, and a buffer that grows, the times and severities
 * made all of `CopyRows` a quarter slower.
 */
export class FixedColumn {
  readonly #type: number;
  readonly #stride: number;
  readonly #buffer: Buffer;
  readonly #view: DataView;

  constructor(type: "int2" | "int4" | "timestamptz", elementBytes: number, countMax: number) {
    this.#type = elementTypes[type];
    this.#stride = 4 + elementBytes;
    this.#buffer = Buffer.alloc(arrayHeaderBytes + countMax * this.#stride);
    this.#view = new DataView(this.#buffer.buffer);
    for (let place = 0; place < countMax; place++) {
      this.#view.setInt32(arrayHeaderBytes + place * this.#stride, elementBytes);
    }
  }

  /** Of the array of `count` elements with its length. */
  byteCount(count: number): number {
    return 4 + arrayHeaderBytes + count * this.#stride;
  }

  setTime(place: number, time: Timestamp): void {
    time.write(this.#view, this.#positionOf(place));
  }

  setInt2(place: number, value: number): void {
    this.#view.setInt16(this.#positionOf(place), value);
  }

  setInt4(place: number, value: number): void {
    this.#view.setInt32(this.#positionOf(place), value);
  }

  /** Writes the first `count` elements as an array with its length in front, and returns the position behind it. */
  write(out: Buffer, view: DataView, position: number, count: number): number {
    writeHeader(this.#view, 0, this.#type, count);
    return writeBytes(out, view, position, this.#buffer, 0, arrayHeaderBytes + count * this.#stride);
  }

  #positionOf(place: number): number {
    return arrayHeaderBytes + 4 + place * this.#stride;
  }
}

/** One dimension, with the subscripts 1 to `count`. */
function writeHeader(view: DataView, hasNull: number, type: number, count: number): void {
  view.setInt32(0, 1);
  view.setInt32(4, hasNull);
  view.setInt32(8, type);
  view.setInt32(12, count);
  view.setInt32(16, 1);
}
