import { promisify } from "node:util";
import { gunzip } from "node:zlib";
import { InvalidBatchError } from "#batch/invalid-batch.ts";

const gunzipAsync = promisify(gunzip);

/** What is unpacked is a thousand times as large as what was sent, at worst: so many at once, the others in turn. */
const unpackedAtOnceMax = 4;
/** Packed messages, each of which a connection holds in any case. */
const waitingMax = 10_000;

/** Too many messages wait to be decompressed. */
export class UnpackerFullError extends Error {
  override readonly name = "UnpackerFullError";
}

/**
 * Unpacks gzip for all connections of the process, a few messages at the same time. Whoever gets the bytes reads them
 * at once, so they are not kept beside those of the next one.
 */
export class Unpacker {
  #unpacking = 0;
  readonly #waiting: (() => void)[] = [];

  /** Throws InvalidBatchError for what is no gzip or has more than `bytesMax`, UnpackerFullError for "later". */
  async unpack(packed: Uint8Array, bytesMax: number): Promise<Buffer<ArrayBuffer>> {
    if (packed.length === 0) return Buffer.alloc(0);
    await this.#turn();
    try {
      return await gunzipAsync(packed, { maxOutputLength: bytesMax });
    } catch (error) {
      const isTooLarge = (error as NodeJS.ErrnoException).code === "ERR_BUFFER_TOO_LARGE";
      const problem = isTooLarge
        ? `decompresses to more than ${bytesMax} bytes`
        : `is not valid gzip: ${String(error)}`;
      throw new InvalidBatchError("request", problem);
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#unpacking -= 1;
      else next();
    }
  }

  async #turn(): Promise<void> {
    if (this.#unpacking < unpackedAtOnceMax) {
      this.#unpacking += 1;
      return;
    }
    if (this.#waiting.length >= waitingMax) {
      throw new UnpackerFullError(`${waitingMax} messages wait to be decompressed`);
    }
    await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }
}
