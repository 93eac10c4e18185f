/** One message of a stream. */
export interface SyslogFrame {
  readonly bytes: Buffer;
  /** The length of a truncated message; absent when `bytes` is all of it. */
  readonly cutFrom?: number;
}

/** More digits than these are no length. */
const digitsMax = 7;
const byte = { nul: 0x00, newline: 0x0a, space: 0x20, zero: 0x30, nine: 0x39, open: 0x3c } as const;
const nothing = Buffer.alloc(0);
const bufferBytesMin = 256;

/**
 * Splits a TCP stream into messages (RFC 6587): those that begin with their length, and those that end with a newline or
 * NUL, even mixed. Holds at most one message of `bytesMax`, whatever the pieces it arrives in; the rest of a longer one is
 * discarded.
 */
export class FrameSplitter {
  readonly #bytesMax: number;
  /** The beginning of the message being read, as far as it is in earlier pieces: `#kept` bytes. */
  #buffer = nothing;
  #kept = 0;
  /** Of the message being read, with what was discarded. */
  #length = 0;
  /** Bytes until the end of a counted message. */
  #remaining: number | undefined;
  /** What may be a length and its space; undefined: the message is being read. */
  #prefix: string | undefined = "";

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /** Part of a message was read. */
  get isWithinMessage(): boolean {
    return this.#prefix !== "";
  }

  /** The messages that end in this piece of the stream. */
  *add(piece: Buffer): Generator<SyslogFrame> {
    const ends = [new NextByte(piece, byte.newline), new NextByte(piece, byte.nul)];
    let at = 0;
    while (at < piece.length) {
      if (this.#prefix !== undefined) {
        at = this.#readPrefix(piece, at);
        continue;
      }
      const isCounted = this.#remaining !== undefined;
      const found = isCounted ? at + this.#remaining! : Math.min(...ends.map((next) => next.from(at)));
      const isEnd = isCounted ? found <= piece.length : found < piece.length;
      const end = Math.min(found, piece.length);
      if (isCounted) this.#remaining! -= end - at;
      if (isEnd) yield* this.#take(piece.subarray(at, end));
      else this.#keep(piece.subarray(at, end));
      at = isEnd && !isCounted ? end + 1 : end;
    }
  }

  /** The last message of a stream that ended without a newline. */
  *finish(): Generator<SyslogFrame> {
    yield* this.#take(Buffer.from(this.#prefix ?? ""));
  }

  /** Reads a length, its space and what follows, or decides that there is none. Returns where the message goes on. */
  #readPrefix(piece: Buffer, from: number): number {
    let prefix = this.#prefix ?? "";
    for (let at = from; at < piece.length; at += 1) {
      const next = piece[at]!;
      if (isOfLength(prefix, next)) {
        prefix += String.fromCharCode(next);
        continue;
      }
      this.#prefix = undefined;
      // Text may begin with a number. Behind a length there is a priority.
      if (prefix.endsWith(" ") && next === byte.open) this.#remaining = Number(prefix);
      else this.#keep(Buffer.from(prefix));
      return at;
    }
    this.#prefix = prefix;
    return piece.length;
  }

  #keep(bytes: Buffer): void {
    this.#length += bytes.length;
    const kept = Math.min(this.#kept + bytes.length, this.#bytesMax);
    if (kept > this.#buffer.length) {
      // Copied: a view would keep the whole piece that it is of.
      const grown = Buffer.allocUnsafe(Math.min(Math.max(2 * kept, bufferBytesMin), this.#bytesMax));
      this.#buffer.copy(grown, 0, 0, this.#kept);
      this.#buffer = grown;
    }
    bytes.copy(this.#buffer, this.#kept, 0, kept - this.#kept);
    this.#kept = kept;
  }

  /** Ends the message with its last bytes. */
  *#take(last: Buffer): Generator<SyslogFrame> {
    let bytes = last.subarray(0, this.#bytesMax);
    if (this.#kept > 0) {
      this.#keep(last);
      bytes = this.#buffer.subarray(0, this.#kept);
    } else this.#length += last.length;
    const length = this.#length;
    this.#buffer = nothing;
    this.#kept = this.#length = 0;
    this.#remaining = undefined;
    this.#prefix = "";
    const isBlank = bytes.every((next) => next <= byte.space);
    if (!isBlank) yield length > bytes.length ? { bytes, cutFrom: length } : { bytes };
  }
}

function isOfLength(prefix: string, next: number): boolean {
  if (prefix.endsWith(" ")) return false;
  if (next === byte.space) return prefix !== "";
  const isDigit = next >= byte.zero && next <= byte.nine;
  return isDigit && prefix.length < digitsMax && !(prefix === "" && next === byte.zero);
}

/** Finds a byte again and again, and reads a piece without any only once. */
class NextByte {
  readonly #bytes: Buffer;
  readonly #value: number;
  #found = -1;

  constructor(bytes: Buffer, value: number) {
    this.#bytes = bytes;
    this.#value = value;
  }

  /** The first at `at` or behind; the length of the bytes when there is none. `at` never decreases. */
  from(at: number): number {
    if (this.#found >= at) return this.#found;
    const found = this.#bytes.indexOf(this.#value, at);
    this.#found = found < 0 ? this.#bytes.length : found;
    return this.#found;
  }
}
