/** One line of a log, without its newline. */
export interface Line {
  /** From 1. */
  readonly number: number;
  /** The beginning only, when the line is too long. */
  readonly bytes: Buffer;
  readonly byteLength: number;
  /** NULs in a row before it, which a file that was cut while it was written to has; they are left out. */
  readonly skippedNuls: number;
  /** Offset of the next line, in bytes from the beginning of the text. */
  readonly end: number;
}

/** The offset and number of a line's beginning. */
export interface LineStart {
  readonly offset: number;
  readonly number: number;
}

const newline = 0x0a;
const nul = 0x00;
/**
 * This many NULs within a line are a hole too: a crash leaves one after half a line, and the next line
 * follows it.
 */
const holeBytesMin = 8;
const emptyLine = Buffer.alloc(0);

/**
 * Splits text at each newline (0x0A), byte for byte: a carriage return stays, an empty line is a line,
 * and the last line needs no newline. It keeps at most `lineBytesMax` of a longer line and only the
 * length of a hole, so memory stays bounded for any input.
 */
export class LineSplitter {
  readonly #lineBytesMax: number;
  #offset: number;
  #number: number;
  /** The unfinished line: its pieces so far, up to the limit. */
  #pieces: Buffer[] = [];
  #keptBytes = 0;
  #byteLength = 0;
  #skippedNuls = 0;
  /** NULs that may turn out to be a hole. */
  #nuls = 0;
  #lines: Line[] = [];

  constructor(lineBytesMax: number, { offset, number }: LineStart = { offset: 0, number: 1 }) {
    this.#lineBytesMax = lineBytesMax;
    this.#offset = offset;
    this.#number = number;
  }

  /** The lines that end in `chunk`, which follows the chunk before. */
  push(chunk: Buffer): readonly Line[] {
    // Most texts have no NUL: one search by the runtime is all that holes cost them.
    for (let start = 0; start < chunk.byteLength; ) {
      const found = this.#nuls > 0 ? start : chunk.indexOf(nul, start);
      const end = found === -1 ? chunk.byteLength : found;
      this.#split(chunk.subarray(start, end));
      start = end;
      while (start < chunk.byteLength && chunk[start] === nul) start += 1;
      this.#nuls += start - end;
      if (start < chunk.byteLength) this.#endNuls();
    }
    return this.#taken();
  }

  /** The last line, if it has no newline. */
  end(): readonly Line[] {
    this.#endNuls();
    if (this.#byteLength > 0 || this.#skippedNuls > 0) this.#finish();
    return this.#taken();
  }

  #taken(): readonly Line[] {
    const lines = this.#lines;
    this.#lines = [];
    return lines;
  }

  #split(text: Buffer): void {
    let start = 0;
    for (let end = text.indexOf(newline); end !== -1; end = text.indexOf(newline, start)) {
      this.#extend(text.subarray(start, end));
      this.#offset += 1;
      this.#finish();
      this.#number += 1;
      start = end + 1;
    }
    this.#extend(text.subarray(start));
  }

  #endNuls(): void {
    const nuls = this.#nuls;
    this.#nuls = 0;
    if (nuls === 0) return;
    if (this.#byteLength > 0 && nuls < holeBytesMin) {
      this.#extend(Buffer.alloc(nuls));
      return;
    }
    if (this.#byteLength > 0) this.#finish();
    this.#offset += nuls;
    this.#skippedNuls += nuls;
  }

  #extend(piece: Buffer): void {
    this.#offset += piece.byteLength;
    this.#byteLength += piece.byteLength;
    const kept = piece.subarray(0, this.#lineBytesMax - this.#keptBytes);
    this.#keptBytes += kept.byteLength;
    if (kept.byteLength > 0) this.#pieces.push(kept);
  }

  #finish(): void {
    const [first = emptyLine, ...more] = this.#pieces;
    this.#lines.push({
      number: this.#number,
      bytes: more.length > 0 ? Buffer.concat(this.#pieces) : first,
      byteLength: this.#byteLength,
      skippedNuls: this.#skippedNuls,
      end: this.#offset,
    });
    this.#pieces = [];
    this.#keptBytes = this.#byteLength = this.#skippedNuls = 0;
  }
}
