import { createHash } from "node:crypto";
import { limits } from "#batch/limits.ts";

/** The device of records whose resource has none of the configured attributes. */
export const unknownDevice = "otlp.unknown";

const hashDigits = 16;

/**
 * A text as a device id: other characters than A-Z a-z 0-9 . _ : - become `_`, and of a text that is too long, what is
 * beyond the limit becomes a hash of the whole text. The same text is always the same device.
 */
export function toDeviceId(text: string): string {
  const id = text.replaceAll(/[^A-Za-z0-9._:-]/gu, "_");
  if (id.length <= limits.deviceIdBytesMax) return id;
  const hash = createHash("sha256").update(text).digest("hex").slice(0, hashDigits);
  return `${id.slice(0, limits.deviceIdBytesMax - hashDigits - 1)}.${hash}`;
}

/** The attributes of a resource that name its device: the first of the list that is there counts. */
export class DeviceNames {
  readonly count: number;
  readonly #names: readonly Buffer[];

  constructor(names: readonly string[]) {
    this.#names = names.map((name) => Buffer.from(name));
    this.count = names.length;
  }

  /** The place in the list of the name bytes[start, end); -1: it is not one of them. */
  find(bytes: Buffer, start: number, end: number): number {
    return this.#names.findIndex(
      (name) => name.length === end - start && bytes.compare(name, 0, name.length, start, end) === 0,
    );
  }
}
