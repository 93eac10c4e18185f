import { InvalidBatchError } from "./invalid-batch.ts";

/** How a field's value is laid out; the low three bits of its tag. https://protobuf.dev/programming-guides/encoding */
export const wireType = { varint: 0, fixed64: 1, bytes: 2, groupStart: 3, groupEnd: 4, fixed32: 5 } as const;

/** Groups within groups in unknown fields. protobuf-es gives up at 98; no client sends any. */
const groupDepthMax = 32;

/**
 * Unknown fields in a batch, those within groups too: 20 for each of 10,000 records. They are skipped, and a batch of
 * nothing else would cost several times as much as one of records.
 */
const skippedMax = 200_000;

/**
 * Walks over protobuf's wire format without copying anything. Nothing at or beyond `end` is ever read; to read
 * a nested message, lower `end` to the message's end and put it back afterwards. What is not protobuf throws
 * an {@link InvalidBatchError} with the position; after that the reader is of no more use.
 *
 * 64-bit numbers are left in `low` and `high` as two signed 32-bit halves: V8 keeps those without allocating.
 */
export class WireReader {
  readonly bytes: Buffer;
  position = 0;
  end: number;
  low = 0;
  high = 0;
  /**
   * Whether all so far was written as a canonical encoder would: numbers as short as possible, no field unknown. What
   * else canonical means, those who know the fields look at, and set it to false.
   */
  isCanonical = true;
  #skipped = 0;
  readonly #message: "LogBatch" | "ExportLogsServiceRequest";

  /** `message` is what the bytes should be, for errors. */
  constructor(bytes: Buffer, message: "LogBatch" | "ExportLogsServiceRequest" = "LogBatch") {
    this.bytes = bytes;
    this.#message = message;
    this.end = bytes.length;
  }

  /** Reads a tag: field number × 8 + wire type. */
  tag(): number {
    const start = this.position;
    const first = this.#byte();
    if (first < 0x80) {
      if (first < 8) throw this.#malformed("field number 0");
      return first;
    }
    this.isCanonical = false; // the tag of an unknown field, or longer than needed
    this.position = start;
    this.varint();
    const tag = this.low >>> 0;
    if (this.high !== 0 || this.position - start > 5) throw this.#malformed("a tag of more than 32 bits");
    if (tag < 8) throw this.#malformed("field number 0");
    return tag;
  }

  /** Reads the length of a string, bytes or message that follows at `position`, and lies before `end` as a whole. */
  size(): number {
    const start = this.position;
    let size: number = this.#byte();
    if (size >= 0x80) {
      this.position = start;
      this.varint();
      size = (this.high >>> 0) * 2 ** 32 + (this.low >>> 0);
    }
    if (size > this.end - this.position) {
      throw this.#malformed(`a length of ${size}, but only ${this.end - this.position} bytes remain`);
    }
    return size;
  }

  /** Reads a varint of up to 10 bytes into `low` and `high`. Bits beyond the 64th are dropped, as protobuf does. */
  varint(): void {
    let low = 0;
    let high = 0;
    for (let shift = 0; shift < 70; shift += 7) {
      const byte = this.#byte();
      const bits = byte & 0x7f;
      if (shift < 28) {
        low |= bits << shift;
      } else if (shift === 28) {
        low |= bits << 28;
        high = bits >> 4;
      } else {
        high |= bits << (shift - 32);
      }
      if (byte < 0x80) {
        if (byte === 0 ? shift > 0 : shift === 63 && byte > 1) this.isCanonical = false;
        this.low = low;
        this.high = high;
        return;
      }
    }
    throw this.#malformed("a varint of more than 10 bytes");
  }

  /** Reads eight little-endian bytes into `low` and `high`. */
  fixed64(): void {
    const { bytes, position } = this;
    this.#advance(8);
    this.low =
      bytes[position]! |
      (bytes[position + 1]! << 8) |
      (bytes[position + 2]! << 16) |
      (bytes[position + 3]! << 24);
    this.high =
      bytes[position + 4]! |
      (bytes[position + 5]! << 8) |
      (bytes[position + 6]! << 16) |
      (bytes[position + 7]! << 24);
  }

  /** Reads four little-endian bytes as an unsigned number. */
  fixed32(): number {
    const { position } = this;
    this.#advance(4);
    return this.bytes.readUInt32LE(position);
  }

  /**
   * Skips the value after a tag that the caller does not know. A field up to `knownFieldMax` that arrives here
   * has a wire type that contradicts log.proto: refused, because protobuf-es would read it as what it is not,
   * and other implementations would drop it silently.
   */
  skipUnknown(tag: number, knownFieldMax: number): void {
    if (tag >>> 3 <= knownFieldMax) throw this.#malformed(`field ${tag >>> 3} with wire type ${tag & 7}`);
    this.skip(tag);
  }

  /** Skips the value after `tag`, whatever it is. */
  skip(tag: number): void {
    this.isCanonical = false;
    this.#countSkipped();
    switch (tag & 7) {
      case wireType.varint:
        return this.varint();
      case wireType.fixed64:
        return this.#advance(8);
      case wireType.bytes:
        return this.#advance(this.size());
      case wireType.groupStart:
        return this.#skipGroup(tag >>> 3);
      case wireType.fixed32:
        return this.#advance(4);
      default:
        throw this.#malformed(`unexpected wire type ${tag & 7}`);
    }
  }

  /** Skips to the end of a group. Groups inside are remembered in a list, not by recursion. */
  #skipGroup(field: number): void {
    const open = [field];
    while (open.length > 0) {
      this.#countSkipped();
      const tag = this.tag();
      if ((tag & 7) === wireType.groupStart) {
        if (open.push(tag >>> 3) > groupDepthMax) throw this.#malformed("groups nested too deeply");
      } else if ((tag & 7) === wireType.groupEnd) {
        if (open.pop() !== tag >>> 3) throw this.#malformed("an unmatched end of a group");
      } else {
        this.skip(tag);
      }
    }
  }

  #countSkipped(): void {
    if (++this.#skipped > skippedMax) throw this.#malformed(`more than ${skippedMax} unknown fields`);
  }

  #byte(): number {
    if (this.position >= this.end) throw this.#malformed("a truncated value");
    return this.bytes[this.position++]!;
  }

  #advance(count: number): void {
    if (count > this.end - this.position) throw this.#malformed("a truncated value");
    this.position += count;
  }

  #malformed(found: string): InvalidBatchError {
    const field = this.#message === "LogBatch" ? "batch" : "request";
    return new InvalidBatchError(
      field,
      `is not a protobuf ${this.#message}: ${found}, at byte ${this.position}`,
    );
  }
}
