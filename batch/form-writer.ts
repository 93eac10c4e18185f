/** Up to this length a loop copies faster than a native call. */
const loopBytesMax = 32;

/** Writes protobuf's wire format into one buffer that is used again and again; room is the caller's affair. */
export class FormWriter {
  readonly buffer: Buffer;
  position = 0;

  constructor(bytesMax: number) {
    this.buffer = Buffer.allocUnsafeSlow(bytesMax);
  }

  /** A tag of one byte. */
  tag(tag: number): void {
    this.buffer[this.position++] = tag;
  }

  /** An unsigned number of up to 32 bits. */
  varint(value: number): void {
    let rest = value;
    for (; rest >= 0x80; rest >>>= 7) this.buffer[this.position++] = (rest & 0x7f) | 0x80;
    this.buffer[this.position++] = rest;
  }

  bigVarint(value: bigint): void {
    let rest = value;
    for (; rest >= 0x80n; rest >>= 7n) this.buffer[this.position++] = Number(rest & 0x7fn) | 0x80;
    this.buffer[this.position++] = Number(rest);
  }

  fixed32(value: number): void {
    this.buffer[this.position++] = value;
    this.buffer[this.position++] = value >>> 8;
    this.buffer[this.position++] = value >>> 16;
    this.buffer[this.position++] = value >>> 24;
  }

  /** Tag, length and content of a field. */
  field(tag: number, bytes: Buffer, start = 0, end = bytes.length): void {
    this.tag(tag);
    this.varint(end - start);
    this.raw(bytes, start, end);
  }

  raw(bytes: Buffer, start: number, end: number): void {
    const { buffer } = this;
    let to = this.position;
    this.position += end - start;
    if (end - start > loopBytesMax) bytes.copy(buffer, to, start, end);
    else for (let from = start; from < end; from++) buffer[to++] = bytes[from]!;
  }

  /** Puts the length of what was written since `start` before it, where `guessedSize` of it left room for its length. */
  lengthBefore(start: number, guessedSize: number): void {
    const size = this.position - start;
    const shift = varintSize(size) - varintSize(guessedSize);
    if (shift !== 0) this.buffer.copyWithin(start + shift, start, this.position);
    this.position = start - varintSize(guessedSize);
    this.varint(size);
    this.position += size;
  }
}

/** Bytes that an unsigned number of up to 28 bits takes. */
export function varintSize(value: number): number {
  return value < 0x80 ? 1 : value < 0x4000 ? 2 : value < 0x20_0000 ? 3 : 4;
}
