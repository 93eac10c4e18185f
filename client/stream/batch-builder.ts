import { limits } from "#batch/limits.ts";

/** The size at which a batch is sent; the server's limits are higher. */
export interface BatchTarget {
  /** Default 500, at most 10,000. */
  readonly recordsMax?: number | undefined;
  /** Bytes of the encoded records; default 256 KiB, at most 1 MiB less {@link headerBytesMax}. */
  readonly bytesMax?: number | undefined;
}

/** Upper bound of the bytes for device, session, sequence and framing. */
const headerBytesMax = 1_024;

/** The largest encoded record that fits into a batch of its own. */
export const recordBytesMax = limits.batchBytesMax - headerBytesMax;

/** A record's tag and length within its batch. */
const framingBytes = 5;

/** Gathers encoded records into a batch. Only the records decide where it cuts, never the time. */
export class BatchBuilder {
  readonly #recordsMax: number;
  readonly #bytesMax: number;
  #records: Uint8Array[] = [];
  #bytes = 0;

  constructor({ recordsMax = 500, bytesMax = 256 * 1024 }: BatchTarget = {}) {
    if (!(recordsMax >= 1 && recordsMax <= limits.recordsMax)) {
      throw new RangeError(`records in a batch: ${recordsMax} is not within 1 to ${limits.recordsMax}`);
    }
    if (!(bytesMax >= 1 && bytesMax <= recordBytesMax)) {
      throw new RangeError(`bytes in a batch: ${bytesMax} is not within 1 to ${recordBytesMax}`);
    }
    this.#recordsMax = recordsMax;
    this.#bytesMax = bytesMax;
  }

  get count(): number {
    return this.#records.length;
  }

  get isFull(): boolean {
    return this.#records.length >= this.#recordsMax || this.#bytes >= this.#bytesMax;
  }

  /** False: take the batch first. A record above the target still fits into an empty builder. */
  fits(record: Uint8Array): boolean {
    if (this.#records.length === 0) return true;
    return !this.isFull && this.#bytes + record.byteLength + framingBytes <= this.#bytesMax;
  }

  /** Throws RangeError for a record that no batch can carry, and for one that does not fit now. */
  add(record: Uint8Array): void {
    const bytes = record.byteLength + framingBytes;
    if (bytes > recordBytesMax) {
      throw new RangeError(`a record of ${record.byteLength} bytes exceeds the batch limit of 1 MiB`);
    }
    if (!this.fits(record)) throw new RangeError("the batch is full: take it before adding another record");
    this.#records.push(record);
    this.#bytes += bytes;
  }

  /** Returns the gathered records and starts the next batch. */
  take(): readonly Uint8Array[] {
    const records = this.#records;
    this.#records = [];
    this.#bytes = 0;
    return records;
  }
}
