/** One message of a stream. */
export interface SyslogFrame {
  readonly bytes: Buffer;
  /** The length of a truncated message; absent when `bytes` is all of it. */
  readonly cutFrom?: number;
}

/** More digits than these are no length. */
const digitsMax = 7;
const newline = 0x0a;
const space = 0x20;

/**
 * Splits a TCP stream into messages (RFC 6587): those that begin with their length, and those that end with a newline,
 * even mixed. Holds at most one message of `bytesMax`; the rest of a longer one is discarded.
 */
export class FrameSplitter {
  readonly #bytesMax: number;
  #pieces: Buffer[] = [];
  #kept = 0;
  /** Of the message being read, with what was discarded. */
  #length = 0;
  /** Bytes until the end of a counted message; undefined: it ends with a newline, or its length is being read. */
  #remaining: number | undefined;
  #digits = "";
  #isStart = true;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /** The messages that end in this piece of the stream. */
  *add(piece: Buffer): Generator<SyslogFrame> {
    let at = 0;
    while (at < piece.length) {
      if (this.#isStart) {
        at = this.#readStart(piece, at);
        continue;
      }
      const isCounted = this.#remaining !== undefined;
      const found = isCounted ? at + this.#remaining! : piece.indexOf(newline, at);
      const isEnd = found >= 0 && found <= piece.length;
      const end = isEnd ? found : piece.length;
      this.#keep(piece.subarray(at, end));
      if (isCounted) this.#remaining! -= end - at;
      at = isEnd && !isCounted ? end + 1 : end;
      if (isEnd) yield* this.#take();
    }
  }

  /** The last message of a stream that ended without a newline. */
  *finish(): Generator<SyslogFrame> {
    if (this.#digits !== "") this.#keep(Buffer.from(this.#digits));
    yield* this.#take();
  }

  /** Reads a length and its space, or decides that there is none. Returns where the message goes on. */
  #readStart(piece: Buffer, from: number): number {
    let at = from;
    while (at < piece.length) {
      const byte = piece[at]!;
      const isDigit = byte >= 0x30 && byte <= 0x39 && !(this.#digits === "" && byte === 0x30);
      if (isDigit && this.#digits.length < digitsMax) {
        this.#digits += String.fromCharCode(byte);
        at += 1;
        continue;
      }
      this.#isStart = false;
      if (this.#digits !== "" && byte === space) {
        this.#remaining = Number(this.#digits);
        this.#digits = "";
        return at + 1;
      }
      this.#keep(Buffer.from(this.#digits)); // the text begins with a number
      this.#digits = "";
      return at;
    }
    return at;
  }

  #keep(bytes: Buffer): void {
    this.#length += bytes.length;
    const fitting = bytes.subarray(0, this.#bytesMax - this.#kept);
    if (fitting.length === 0) return;
    this.#kept += fitting.length;
    this.#pieces.push(fitting);
  }

  *#take(): Generator<SyslogFrame> {
    const bytes = Buffer.concat(this.#pieces);
    const length = this.#length;
    this.#pieces = [];
    this.#kept = this.#length = 0;
    this.#remaining = undefined;
    this.#digits = "";
    this.#isStart = true;
    const isBlank = bytes.every((byte) => byte <= space);
    if (!isBlank) yield length > bytes.length ? { bytes, cutFrom: length } : { bytes };
  }
}
