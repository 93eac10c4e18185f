import { gzipSync } from "node:zlib";

/** A gRPC message on the wire: one byte "compressed", four bytes of length, then the message. */
export const frameHeaderBytes = 5;

/** Field 1, length-delimited: `batch` of PushLogsRequest and of StreamLogsRequest. */
const batchTag = 0x0a;

/** The gRPC frame of a request with `batch`. */
export function frame(batch: Uint8Array): Buffer {
  const length: number[] = [];
  for (let rest = batch.length; ; rest >>>= 7) {
    if (rest < 0x80) {
      length.push(rest);
      break;
    }
    length.push((rest & 0x7f) | 0x80);
  }
  const header = Buffer.from([0, 0, 0, 0, 0, batchTag, ...length]);
  header.writeUInt32BE(1 + length.length + batch.length, 1);
  return Buffer.concat([header, batch]);
}

/** The same message compressed, for a call with `grpc-encoding: gzip`. */
export function packFrame(whole: Buffer): Buffer {
  const packed = gzipSync(whole.subarray(frameHeaderBytes), { level: 1 });
  const header = Buffer.from([1, 0, 0, 0, 0]);
  header.writeUInt32BE(packed.length, 1);
  return Buffer.concat([header, packed]);
}

/** Cuts a stream of chunks into messages, however they were sliced. */
export class FrameReader {
  readonly #onMessage: (message: Buffer) => void;
  #rest: Buffer = Buffer.alloc(0);

  constructor(onMessage: (message: Buffer) => void) {
    this.#onMessage = onMessage;
  }

  push(chunk: Buffer): void {
    let buffer = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    while (buffer.length >= frameHeaderBytes) {
      const end = frameHeaderBytes + buffer.readUInt32BE(1);
      if (buffer.length < end) break;
      this.#onMessage(buffer.subarray(frameHeaderBytes, end));
      buffer = buffer.subarray(end);
    }
    this.#rest = buffer;
  }
}
