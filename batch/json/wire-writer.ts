import { limits } from "../limits.ts";
import type { JsonReader } from "./json-reader.ts";

/** A string as it lies in JSON, without its quotes. */
export interface JsonText {
  start: number;
  end: number;
  isPlain: boolean;
}

/** Up to this length a loop copies faster than a native call. */
const loopBytesMax = 32;
const backslash = 0x5c;
const replacement = 0xfffd;

/** What each simple escape stands for. */
const unescaped = new Uint8Array(256);
for (const escape of '"\\/bfnrt') {
  const character = JSON.parse(`"\\${escape}"`) as string;
  unescaped[escape.charCodeAt(0)] = character.charCodeAt(0);
}

/**
 * Writes protobuf into one buffer that all batches use, one after the other: reading JSON is synchronous, and a batch is
 * copied out of it once it is complete. The buffer holds what a batch may have and one record beyond that.
 */
export class WireWriter {
  readonly bytes: Buffer;
  position = 0;
  /** Halves of a character, such as \ud83d alone, that were written as U+FFFD. */
  replacedHalves = 0;

  constructor(recordBytesMax: number) {
    this.bytes = Buffer.allocUnsafeSlow(limits.batchBytesMax + recordBytesMax);
  }

  /** A number below 2^32. */
  varint(value: number): void {
    let rest = value;
    for (; rest > 0x7f; rest >>>= 7) this.bytes[this.position++] = (rest & 0x7f) | 0x80;
    this.bytes[this.position++] = rest;
  }

  /** A 64-bit number in two unsigned halves. */
  varint64(high: number, low: number): void {
    let [upper, lower] = [high, low];
    while (upper > 0) {
      this.bytes[this.position++] = (lower & 0x7f) | 0x80;
      lower = ((lower >>> 7) | (upper << 25)) >>> 0;
      upper >>>= 7;
    }
    this.varint(lower);
  }

  fixed64(high: number, low: number): void {
    this.bytes.writeUInt32LE(low, this.position);
    this.bytes.writeUInt32LE(high, this.position + 4);
    this.position += 8;
  }

  double(value: number): void {
    this.bytes.writeDoubleLE(value, this.position);
    this.position += 8;
  }

  /** Leaves room for the length of what follows, which has at most `bytesMax`. Returns what {@link close} needs. */
  open(tag: number, bytesMax: number): number {
    this.varint(tag);
    this.position += varintBytes(bytesMax);
    return this.position;
  }

  /** Puts the length before what was written since {@link open}, in as few bytes as it needs. */
  close(start: number, bytesMax: number): void {
    const length = this.position - start;
    const lengthStart = start - varintBytes(bytesMax);
    const contentStart = lengthStart + varintBytes(length);
    if (contentStart !== start) this.bytes.copyWithin(contentStart, start, this.position);
    this.position = lengthStart;
    this.varint(length);
    this.position += length;
  }

  /** A string field. */
  text(tag: number, { bytes }: Pick<JsonReader, "bytes">, text: JsonText): void {
    const { start, end } = text;
    if (text.isPlain) {
      this.varint(tag);
      this.varint(end - start);
      this.raw(bytes, start, end);
      return;
    }
    const content = this.open(tag, end - start);
    this.#unescape(bytes, start, end);
    this.close(content, end - start);
  }

  /** A bytes field. */
  field(tag: number, value: Buffer): void {
    this.varint(tag);
    this.varint(value.length);
    this.raw(value, 0, value.length);
  }

  raw(from: Buffer, start: number, end: number): void {
    const { bytes } = this;
    if (end - start > loopBytesMax) {
      this.position += from.copy(bytes, this.position, start, end);
      return;
    }
    let to = this.position;
    for (let at = start; at < end; at++) bytes[to++] = from[at]!;
    this.position = to;
  }

  /** An escape is never shorter than what it stands for. */
  #unescape(from: Buffer, start: number, end: number): void {
    let at = start;
    while (at < end) {
      let run = at;
      while (run < end && from[run] !== backslash) run += 1;
      this.raw(from, at, run);
      at = run + 1;
      if (at >= end) return;
      if (from[at] !== 0x75 /* u */) {
        this.bytes[this.position++] = unescaped[from[at]!]!;
        at += 1;
        continue;
      }
      let point = codeUnit(from, at + 1);
      at += 5;
      if (point >= 0xd800 && point < 0xe000) {
        const isPair = point < 0xdc00 && at + 6 <= end && from[at] === backslash && from[at + 1] === 0x75;
        const second = isPair ? codeUnit(from, at + 2) : 0;
        if (second >= 0xdc00 && second < 0xe000) {
          point = 0x10000 + ((point - 0xd800) << 10) + (second - 0xdc00);
          at += 6;
        } else {
          point = replacement;
          this.replacedHalves += 1;
        }
      }
      this.#character(point);
    }
  }

  #character(point: number): void {
    const { bytes } = this;
    let to = this.position;
    if (point < 0x80) {
      bytes[to++] = point;
    } else if (point < 0x800) {
      bytes[to++] = 0xc0 | (point >> 6);
      bytes[to++] = 0x80 | (point & 0x3f);
    } else {
      if (point < 0x10000) {
        bytes[to++] = 0xe0 | (point >> 12);
      } else {
        bytes[to++] = 0xf0 | (point >> 18);
        bytes[to++] = 0x80 | ((point >> 12) & 0x3f);
      }
      bytes[to++] = 0x80 | ((point >> 6) & 0x3f);
      bytes[to++] = 0x80 | (point & 0x3f);
    }
    this.position = to;
  }
}

function varintBytes(value: number): number {
  let bytes = 1;
  for (let rest = value; rest > 0x7f; rest >>>= 7) bytes += 1;
  return bytes;
}

function codeUnit(bytes: Buffer, at: number): number {
  let unit = 0;
  for (let digit = at; digit < at + 4; digit++) {
    const byte = bytes[digit]!;
    unit = unit * 16 + (byte <= 0x39 ? byte - 0x30 : (byte | 0x20) - 0x61 + 10);
  }
  return unit;
}
