import { InvalidBatchError } from "../invalid-batch.ts";
import { type JsonKind, jsonKind, kindByByte } from "./json-kind.ts";

/**
 * Values in a request: the largest batch has 10,000 records with five fields each, and room for 130,000 attributes of one
 * letter; the rest is for unknown fields. What walks over a request costs time for each value, not only for each byte.
 */
const batchValuesMax = 400_000;

/** Objects and arrays within each other, counted from the request. A batch needs six; the rest is for unknown fields. */
const depthMax = 64;

const byte = {
  quote: 0x22,
  comma: 0x2c,
  colon: 0x3a,
  backslash: 0x5c,
  openArray: 0x5b,
  closeArray: 0x5d,
  openObject: 0x7b,
  closeObject: 0x7d,
  u: 0x75,
} as const;

const literals = new Map<number, Buffer>(
  (["true", "false", "null"] as const).map((text) => [jsonKind[text], Buffer.from(text)]),
);

const isSpace = new Uint8Array(256);
for (const character of " \t\n\r") isSpace[character.charCodeAt(0)] = 1;

/** The bytes at which a run of plain characters of a string ends: quote, backslash, and what must be escaped. */
const endsRun = new Uint8Array(256);
endsRun.fill(1, 0, 0x20);
endsRun[byte.quote] = 1;
endsRun[byte.backslash] = 1;

const isEscape = new Uint8Array(256);
for (const character of '"\\/bfnrt') isEscape[character.charCodeAt(0)] = 1;

const isHexDigit = new Uint8Array(256);
for (const character of "0123456789abcdefABCDEF") isHexDigit[character.charCodeAt(0)] = 1;

const isDigit = new Uint8Array(256);
for (const character of "0123456789") isDigit[character.charCodeAt(0)] = 1;

/**
 * Walks over JSON (RFC 8259) in its bytes, once, without making anything of them: the last token lies at `start` to
 * `end`. What is not JSON throws an {@link InvalidBatchError} that names the byte. Whether strings are UTF-8 is
 * not checked here.
 */
export class JsonReader {
  readonly bytes: Buffer;
  position = 0;
  /** The last string without its quotes, or the last number. */
  start = 0;
  end = 0;
  /** Whether the last string has no escapes, so that its bytes stand for themselves. */
  isPlain = true;
  #depth = 0;
  #values = 0;
  readonly #valuesMax: number;
  /** The byte that ends each object or array that is being skipped. */
  readonly #closing: Uint8Array;

  constructor(bytes: Uint8Array, valuesMax = batchValuesMax, nestingMax = depthMax) {
    this.#valuesMax = valuesMax;
    this.#closing = new Uint8Array(nestingMax);
    this.bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const hasByteOrderMark = bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf;
    if (hasByteOrderMark) this.position = 3;
  }

  /** What the next value is; it begins at `position`. */
  kind(): JsonKind {
    this.#skipSpace();
    const kind = this.position < this.bytes.length ? kindByByte[this.bytes[this.position]!]! : 0;
    if (kind === 0) throw this.#malformed("a value is missing");
    return kind as JsonKind;
  }

  /** Goes into the object or array that begins at `position`; {@link nextKey} or {@link nextElement} leave it. */
  enter(): void {
    this.#count();
    if (++this.#depth > this.#closing.length)
      throw this.#malformed(`more than ${this.#closing.length} nested objects and arrays`);
    this.position += 1;
  }

  /** Reads the next key and its colon; false when the object has ended. The value is the caller's to read. */
  nextKey(isFirst: boolean): boolean {
    if (!this.#continues(isFirst, byte.closeObject)) return false;
    if (this.#peek() !== byte.quote) throw this.#malformed("a key is missing");
    this.string();
    if (this.#peek() !== byte.colon) throw this.#malformed("a colon is missing");
    this.position += 1;
    return true;
  }

  /** Goes to the next element; false when the array has ended. */
  nextElement(isFirst: boolean): boolean {
    return this.#continues(isFirst, byte.closeArray);
  }

  /** Reads the string that begins at `position`. */
  string(): void {
    const { bytes } = this;
    const { length } = bytes;
    let at = this.position + 1;
    this.start = at;
    this.isPlain = true;
    for (;;) {
      while (at < length && endsRun[bytes[at]!] === 0) at += 1;
      this.position = at;
      if (at === length) throw this.#malformed("an unterminated string");
      if (bytes[at] === byte.quote) break;
      if (bytes[at] !== byte.backslash) throw this.#malformed("a control character in a string");
      this.isPlain = false;
      at = this.#skipEscape(at + 1);
    }
    this.end = at;
    this.position = at + 1;
  }

  /** Reads the number that begins at `position`. */
  number(): void {
    const { bytes } = this;
    let at = this.position;
    this.start = at;
    this.isPlain = true;
    if (bytes[at] === 0x2d /* - */) at += 1;
    if (bytes[at] === 0x30 /* 0 */) at += 1;
    else at = this.#skipDigits(at);
    if (bytes[at] === 0x2e /* . */) at = this.#skipDigits(at + 1);
    if (bytes[at] === 0x65 /* e */ || bytes[at] === 0x45 /* E */) {
      const hasSign = bytes[at + 1] === 0x2b || bytes[at + 1] === 0x2d;
      at = this.#skipDigits(at + (hasSign ? 2 : 1));
    }
    this.end = at;
    this.position = at;
  }

  /** Skips the value of this kind that begins at `position`, whatever is in it. */
  skip(kind: JsonKind): void {
    if (kind === jsonKind.object || kind === jsonKind.array) this.#skipNested();
    else this.#skipScalar(kind);
  }

  /** Whether nothing but space follows. */
  isAtEnd(): boolean {
    return this.#peek() === -1;
  }

  /** Nothing but space may follow. */
  finish(): void {
    if (!this.isAtEnd()) throw this.#malformed("characters after the end");
  }

  #skipNested(): void {
    const outside = this.#depth;
    let isFirst = true;
    do {
      // At the beginning of a value, except where an object or array was just left.
      const kind = this.kind();
      if (kind === jsonKind.object || kind === jsonKind.array) {
        this.enter();
        this.#closing[this.#depth - 1] = kind === jsonKind.object ? byte.closeObject : byte.closeArray;
        isFirst = true;
      } else {
        this.#skipScalar(kind);
        isFirst = false;
      }
      while (this.#depth > outside) {
        const isObject = this.#closing[this.#depth - 1] === byte.closeObject;
        if (isObject ? this.nextKey(isFirst) : this.nextElement(isFirst)) break;
        isFirst = false;
      }
    } while (this.#depth > outside);
  }

  #skipScalar(kind: JsonKind): void {
    this.#count();
    if (kind === jsonKind.string) return this.string();
    if (kind === jsonKind.number) return this.number();
    const literal = literals.get(kind)!;
    for (let index = 0; index < literal.length; index++) {
      if (this.bytes[this.position + index] !== literal[index]) throw this.#malformed("a value is missing");
    }
    this.position += literal.length;
  }

  #continues(isFirst: boolean, closing: number): boolean {
    const next = this.#peek();
    if (next === closing) {
      this.position += 1;
      this.#depth -= 1;
      return false;
    }
    if (isFirst) return true;
    if (next !== byte.comma) throw this.#malformed("a comma is missing");
    this.position += 1;
    return true;
  }

  #skipEscape(at: number): number {
    const { bytes } = this;
    if (isEscape[bytes[at]!] === 1) return at + 1;
    const isUnicode = bytes[at] === byte.u;
    for (let digit = 1; digit <= 4; digit++) {
      if (!isUnicode || isHexDigit[bytes[at + digit]!] !== 1) throw this.#malformed("an unknown escape");
    }
    return at + 5;
  }

  #skipDigits(from: number): number {
    const { bytes } = this;
    let at = from;
    while (isDigit[bytes[at]!] === 1) at += 1;
    this.position = at;
    if (at === from) throw this.#malformed("a digit is missing");
    return at;
  }

  #skipSpace(): void {
    const { bytes } = this;
    let at = this.position;
    const { length } = bytes;
    while (at < length && isSpace[bytes[at]!] === 1) at += 1;
    this.position = at;
  }

  /** The next byte that is no space; -1 at the end. */
  #peek(): number {
    this.#skipSpace();
    return this.position < this.bytes.length ? this.bytes[this.position]! : -1;
  }

  #count(): void {
    if (++this.#values > this.#valuesMax) {
      throw new InvalidBatchError(
        "request",
        `has more than ${this.#valuesMax} values, at byte ${this.position}`,
      );
    }
  }

  #malformed(found: string): InvalidBatchError {
    return new InvalidBatchError("request", `is not JSON: ${found}, at byte ${this.position}`);
  }
}
