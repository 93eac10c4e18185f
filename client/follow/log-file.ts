import { type FileHandle, open } from "node:fs/promises";
import { unpack } from "#client/files/decode-input.ts";
import { type Fingerprint, fingerprint, isEqual, windowBytes } from "#client/follow/fingerprint.ts";
import type { FoundFile } from "#client/follow/found-files.ts";

const chunkBytes = 256 * 1024;

/** The name is another file's by now: look again. */
export class MovedError extends Error {
  override readonly name = "MovedError";
}

/** What stands at the beginning of a log and before a place in it, at most {@link windowBytes} of both. */
export interface Windows {
  readonly head: Buffer;
  readonly tail: Buffer;
}

/** An open file, whatever becomes of its name. Of a compressed one all bytes and offsets are those of what is in it. */
export class LogFile implements AsyncDisposable {
  readonly isPacked: boolean;
  readonly #handle: FileHandle;
  /** Of a compressed file, for {@link next}. */
  #chunks: AsyncGenerator<Buffer> | undefined;
  #chunksEnd = 0;

  private constructor(handle: FileHandle, isPacked: boolean) {
    this.#handle = handle;
    this.isPacked = isPacked;
  }

  /** Throws {@link MovedError} when `found` is not what has the name any more, and what opening does. */
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

  /** What comes at `offset`, at most a chunk; empty at the end. Of a compressed file `offset` never goes back. */
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

  /** Whether it begins as the log of `print`, and goes as far. */
  async continues(print: Fingerprint): Promise<boolean> {
    const beginning = await this.fingerprint(Math.min(windowBytes, print.offset));
    if (beginning?.head !== print.head) return false; // cheap also of a large compressed file
    const own = await this.fingerprint(print.offset);
    return own !== undefined && isEqual(own, print);
  }

  /** How long the log is. Of a compressed file as much as can be read; it is not whole where it ends early or is damaged. */
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

  /** Of what is damaged before `offset` as much as there is. */
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
      // what was read until then tells
    }
    return { head, tail };
  }

  #unpack(): AsyncGenerator<Buffer> {
    return unpack(this.#handle.createReadStream({ autoClose: false, start: 0 }));
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
