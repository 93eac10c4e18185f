import { prefixBytes, tooLong, unknownEncoding } from "../message.ts";

const nothing = Buffer.alloc(0);

/** What an announcement alone is worth, at most: one that is not kept costs no more than the connection's window. */
const partialBytesMin = 64 << 10;

/**
 * Finds gRPC's messages in the pieces in which a connection delivers them. The reader takes one message at a time
 * and pushes no further piece before next() has said that there is none.
 *
 * A message within one piece is a view of it. One that is spread over pieces is put together in a buffer of its own,
 * which grows with what has arrived, not with what was announced.
 */
export class MessageReader {
  readonly #bytesMax: number;
  #piece: Buffer = nothing;
  #position = 0;
  /** The beginning of a message, with its prefix, and how much of it is there. */
  #partial: Buffer = nothing;
  #filled = 0;
  readonly #hold: (bytes: number) => void;
  readonly #takesPacked: boolean;
  /** Whether the message that {@link next} gave last is compressed. */
  isPacked = false;

  /**
   * A longer message is refused by its announced length, before it is read. `hold` is asked for the memory of a message
   * that is spread over pieces, and may throw.
   */
  constructor(bytesMax: number, takesPacked = false, hold: (bytes: number) => void = () => {}) {
    this.#bytesMax = bytesMax;
    this.#hold = hold;
    this.#takesPacked = takesPacked;
  }

  push(piece: Buffer): void {
    this.#piece = piece;
    this.#position = 0;
  }

  /** Whether nothing is left over: no message, and no part of one. */
  get isEmpty(): boolean {
    return this.#filled === 0 && this.#position === this.#piece.length;
  }

  /** The next whole message; undefined: not there yet. Throws InvalidBatchError for what can never be read. */
  next(): Buffer | undefined {
    if (this.#filled > 0) return this.#nextOfSeveral();
    const start = this.#position + prefixBytes;
    if (start <= this.#piece.length) {
      const end = start + this.#lengthAt(this.#piece, this.#position);
      if (end <= this.#piece.length) {
        const message = this.#piece.subarray(start, end);
        this.#moveTo(end);
        return message;
      }
    }
    return this.#nextOfSeveral();
  }

  #nextOfSeveral(): Buffer | undefined {
    this.#fillTo(prefixBytes);
    if (this.#filled < prefixBytes) return undefined;
    const end = prefixBytes + this.#lengthAt(this.#partial, 0);
    this.#fillTo(end);
    if (this.#filled < end) return undefined;
    const message = this.#partial.subarray(prefixBytes, end);
    this.#partial = nothing;
    this.#filled = 0;
    return message;
  }

  /** Copies from the piece until this many bytes of the message are complete, prefix included, or the piece is used up. */
  #fillTo(end: number): void {
    const filled = Math.min(end, this.#filled + this.#piece.length - this.#position);
    if (filled <= this.#filled) return;
    if (filled > this.#partial.length) {
      const size = Math.min(end, Math.max(4 * filled, partialBytesMin));
      this.#hold(size - this.#partial.length);
      const grown = Buffer.allocUnsafe(size);
      this.#partial.copy(grown, 0, 0, this.#filled);
      this.#partial = grown;
    }
    const next = this.#position + filled - this.#filled;
    this.#piece.copy(this.#partial, this.#filled, this.#position, next);
    this.#filled = filled;
    this.#moveTo(next);
  }

  #moveTo(position: number): void {
    this.#position = position;
    if (position === this.#piece.length) this.push(nothing); // lets go of its memory
  }

  #lengthAt(bytes: Buffer, position: number): number {
    this.isPacked = bytes[position] !== 0;
    if (this.isPacked && !(this.#takesPacked && bytes[position] === 1)) {
      throw unknownEncoding();
    }
    const length = bytes.readUInt32BE(position + 1);
    if (length <= this.#bytesMax) return length;
    throw tooLong(length, this.#bytesMax);
  }
}
