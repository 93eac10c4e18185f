import { limits } from "#batch/limits.ts";
import { type DeviceInfo, encodeDeviceInfo } from "#client/stream/record.ts";

/** So that it fits beside the records of all but the largest batches. */
const encodedBytesMax = 64 * 1024;

/** What a device says about itself, until a batch that carries it is accepted. */
export class DeviceDescription {
  #encoded: Uint8Array | undefined;
  /** The batch that carries it; undefined: the next one has to. */
  #sequence: bigint | undefined;

  /** Throws RangeError for what is beyond a limit: the server would refuse every batch with it. */
  set(device: DeviceInfo): void {
    for (const field of ["firmware", "hardware", "site"] as const) {
      const size = Buffer.byteLength(device[field] ?? "");
      if (size <= limits.deviceInfoBytesMax) continue;
      throw new RangeError(`device.${field}: ${size} bytes, the limit is ${limits.deviceInfoBytesMax}`);
    }
    const encoded = encodeDeviceInfo(device);
    if (encoded.length > encodedBytesMax) {
      throw new RangeError(`device: ${encoded.length} bytes, the limit is ${encodedBytesMax}`);
    }
    this.#encoded = encoded;
    this.#sequence = undefined;
  }

  /** To be sent with the next batch; undefined: nothing. */
  get toSend(): Uint8Array | undefined {
    return this.#sequence === undefined ? this.#encoded : undefined;
  }

  sentWith(sequence: bigint): void {
    this.#sequence = sequence;
  }

  /** A batch is not stored, for a reason other than what it says here: another one has to carry it. */
  lostWith(sequence: bigint): void {
    if (this.#sequence === sequence) this.#sequence = undefined;
  }
}
