import { type FileHandle, open } from "node:fs/promises";
import { unpack } from "#client/files/decode-input.ts";
import { type Fingerprint, fingerprint, isEqual, windowBytes } from "#client/follow/fingerprint.ts";
import type { FoundFile } from "#client/follow/found-files.ts";

const chunkBytes = 256 * 1024;

/** The name now belongs to another file: search again. */
export class MovedError extends Error {
  override readonly name = "MovedError";
}

/** The bytes at the beginning of a log and before a position in it, at most {@link windowBytes} of each. */
export interface Windows {
  readonly head: Buffer;
  readonly tail: Buffer;
}

/** An open file, whatever happens to its name. Offsets of a compressed file are those of its content. */
export class LogFile implements AsyncDisposable {
  readonly isPacked: boolean;
  readonly #handle: FileHandle;
  /** The content of a compressed file, for {@link next}. */
  #chunks: AsyncGenerator<Buffer> | undefined;
  #chunksEnd = 0;

  private constructor(handle: FileHandle, isPacked: boolean) {
    this.#handle = handle;
    this.isPacked = isPacked;
  }

  /** Throws {@link MovedError} when the name no longer belongs to `found`, and any error of opening. */
  static async open({ path, device, inode }: FoundFile): Promise<LogFile> {
    const handle = await open(path, "r").catch((error: NodeJS.ErrnoException) => {
      throw error.code === "ENOENT" ? new MovedError(path) : error;
    });
    try {
      const { dev, ino } = await handle.stat({ bigint: true });
      if (String(ino) !== inode || String(dev) !== device) throw new MovedError(path);
      const { buffer, bytesRead } = await handle.read(Buffer.alloc(4), 0, 4, 0);
      return new LogFile(handle, /^(1f8b08|28b52ffd)/.test(buffer.subarray(0, bytesRead).toString("hex")));
    } catch (error) {
      await handle.close();
      throw error;
    }
  }

  /** On disk, in bytes. */
  async size(): Promise<number> {
    return (await this.#handle.stat()).size;
  }

  /**
   * The data at `offset`, at most a chunk; empty at the end. In a compressed file `offset` never
   * decreases.
   */
  async next(offset: number): Promise<Buffer> {
    if (!this.isPacked) return this.#pread(offset, chunkBytes);
    this.#chunks ??= this.#unpack();
    for (;;) {
      const { value, done } = await this.#chunks.next();
      if (done) return Buffer.alloc(0);
      this.#chunksEnd += value.byteLength;
      const fresh = this.#chunksEnd - offset;
      if (fresh > 0) return value.subarray(Math.max(0, value.byteLength - fresh));
    }
  }

  /** Undefined when the log does not go as far as `offset`. */
  async windows(offset: number): Promise<Windows | undefined> {
    const length = Math.min(windowBytes, offset);
    const { head, tail } = this.isPacked
      ? await this.#packedWindows(offset)
      : { head: await this.#pread(0, length), tail: await this.#pread(offset - length, length) };
    return head.byteLength === length && tail.byteLength === length ? { head, tail } : undefined;
  }

  async fingerprint(offset: number): Promise<Fingerprint | undefined> {
    const windows = await this.windows(offset);
    return windows && fingerprint(offset, windows);
  }

  /** Whether it has the beginning of `print`'s log and reaches its offset. */
  async continues(print: Fingerprint): Promise<boolean> {
    const beginning = await this.fingerprint(Math.min(windowBytes, print.offset));
    if (beginning?.head !== print.head) return false; // cheap even for a large compressed file
    const own = await this.fingerprint(print.offset);
    return own !== undefined && isEqual(own, print);
  }

  /**
   * The length of the log. For a compressed file, the length that can be read; `isWhole` is false when it
   * is truncated or damaged.
   */
  async extent(): Promise<{ length: number; isWhole: boolean }> {
    if (!this.isPacked) return { length: await this.size(), isWhole: true };
    let length = 0;
    try {
      for await (const chunk of this.#unpack()) length += chunk.byteLength;
    } catch {
      return { length, isWhole: false };
    }
    return { length, isWhole: true };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#chunks?.return(undefined);
    await this.#handle.close();
  }

  /** As much as is readable when the file is damaged before `offset`. */
  async #packedWindows(offset: number): Promise<Windows> {
    let head: Buffer = Buffer.alloc(0);
    let tail: Buffer = Buffer.alloc(0);
    const length = Math.min(windowBytes, offset);
    let start = 0;
    try {
      for await (const chunk of this.#unpack()) {
        if (head.byteLength < length) head = Buffer.concat([head, chunk]).subarray(0, length);
        const part = chunk.subarray(Math.max(0, offset - length - start), Math.max(0, offset - start));
        tail = Buffer.concat([tail, part]);
        start += chunk.byteLength;
        if (start >= offset) break;
      }
    } catch {
      // the bytes read so far decide
    }
    return { head, tail };
  }

  #unpack(): AsyncGenerator<Buffer> {
    return unpack(this.#readFromStart());
  }

  /** Not createReadStream: a stream that is left early closes the handle. */
  async *#readFromStart(): AsyncGenerator<Buffer> {
    for (let offset = 0; ; ) {
      const chunk = await this.#pread(offset, chunkBytes);
      if (chunk.byteLength === 0) return;
      yield chunk;
      offset += chunk.byteLength;
    }
  }

  async #pread(offset: number, length: number): Promise<Buffer> {
    const buffer = Buffer.allocUnsafe(length);
    let filled = 0;
    while (filled < length) {
      const { bytesRead } = await this.#handle.read(buffer, filled, length - filled, offset + filled);
      if (bytesRead === 0) break;
      filled += bytesRead;
    }
    return buffer.subarray(0, filled);
  }
}
