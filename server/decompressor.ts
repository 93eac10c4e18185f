import { promisify } from "node:util";
import { gunzip } from "node:zlib";
import { InvalidBatchError } from "#batch/invalid-batch.ts";

const gunzipAsync = promisify(gunzip);

/** Messages decompressed at once; the others wait, because decompressed bytes can be a thousand times the compressed ones. */
const decompressedAtOnceMax = 4;
/** Compressed messages that wait; their connections hold them anyway. */
const waitingMax = 10_000;

/** A request beyond its limit in bytes. */
export class TooLargeError extends InvalidBatchError {}

/** Too many messages wait to be decompressed. */
export class DecompressorFullError extends Error {
  override readonly name = "DecompressorFullError";
}

/**
 * Decompresses gzip for all connections of the process, a few messages at a time. Callers use the bytes at once, so those
 * of several messages do not pile up.
 */
export class Decompressor {
  #decompressing = 0;
  readonly #waiting: (() => void)[] = [];

  /** Throws InvalidBatchError for malformed gzip, TooLargeError for more than `bytesMax`, DecompressorFullError for "retry later". */
  async decompress(compressed: Uint8Array, bytesMax: number): Promise<Buffer<ArrayBuffer>> {
    if (compressed.length === 0) return Buffer.alloc(0);
    await this.#waitForTurn();
    try {
      return await gunzipAsync(compressed, { maxOutputLength: bytesMax });
    } catch (error) {
      const isTooLarge = (error as NodeJS.ErrnoException).code === "ERR_BUFFER_TOO_LARGE";
      if (isTooLarge) throw new TooLargeError("request", `decompresses to more than ${bytesMax} bytes`);
      throw new InvalidBatchError("request", `is not valid gzip: ${String(error)}`);
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#decompressing -= 1;
      else next();
    }
  }

  async #waitForTurn(): Promise<void> {
    if (this.#decompressing < decompressedAtOnceMax) {
      this.#decompressing += 1;
      return;
    }
    if (this.#waiting.length >= waitingMax) {
      throw new DecompressorFullError(`${waitingMax} messages wait to be decompressed`);
    }
    await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }
}
