import type { Entry } from "./entry.ts";

/** Chooses the COUNT of a read. Redis bounds a read by entries only, so bytes are estimated from the last entries. */
export class ReadSize {
  readonly #countMax: number;
  readonly #bytesMax: number;
  #averageBytes = 1 << 20;

  /** `countMax` entries per stream at most, and about `bytesMax` bytes of all streams together. */
  constructor({ countMax, bytesMax }: { readonly countMax: number; readonly bytesMax: number }) {
    this.#countMax = countMax;
    this.#bytesMax = bytesMax;
  }

  /** The COUNT for a read of this many streams. The first read assumes batches of the maximum size. */
  count(streams: number): number {
    return Math.max(1, Math.min(this.#countMax, Math.floor(this.#bytesMax / this.#averageBytes / streams)));
  }

  learn(entries: readonly { readonly entry: Pick<Entry, "batch"> }[]): void {
    if (entries.length === 0) return;
    const average = entries.reduce((sum, { entry }) => sum + entry.batch.length, 0) / entries.length;
    this.#averageBytes = Math.max(1, average, this.#averageBytes / 4);
  }
}
