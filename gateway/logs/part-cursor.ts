import type { ReadDatabase } from "../query/read-database.ts";
import {
  type SkippedIds,
  selectBatches,
  type WalkedBatch,
  type WalkPart,
  type Wanted,
} from "./select-batches.ts";

/** A cursor in one part of a walk. Batches that are read and not passed are read again. */
export class PartCursor {
  readonly #db: ReadDatabase;
  readonly #wanted: Wanted;
  readonly #part: WalkPart;
  #first: readonly WalkedBatch[] | undefined;
  #batchesMax: number;
  #after: WalkedBatch | undefined;
  #recordsPassed = 0;

  private constructor(
    db: ReadDatabase,
    wanted: Wanted,
    part: WalkPart,
    first: readonly WalkedBatch[],
    batchesMax: number,
  ) {
    this.#db = db;
    this.#wanted = wanted;
    this.#part = part;
    this.#first = first;
    this.#batchesMax = batchesMax;
  }

  /** Cursors at the beginning of each part. One statement reads the first batches of all. */
  static async open(
    db: ReadDatabase,
    wanted: Wanted,
    parts: readonly WalkPart[],
    batchesMax: number,
  ): Promise<PartCursor[]> {
    const firsts = await selectBatches(db, {
      ...wanted,
      parts,
      after: undefined,
      batchesMax,
      skipped: nothing,
    });
    return parts.map((part, index) => new PartCursor(db, wanted, part, firsts[index] ?? [], batchesMax));
  }

  /** The last batch that was passed. */
  get after(): WalkedBatch | undefined {
    return this.#after;
  }

  get recordsPassed(): number {
    return this.#recordsPassed;
  }

  /** Whether there may be more than its first batches. */
  get mayHaveMore(): boolean {
    return this.#first?.length === this.#batchesMax;
  }

  /** The next batches but those that are skipped, and whether they are the last. */
  async read(skipped?: SkippedIds): Promise<{ batches: readonly WalkedBatch[]; isEnd: boolean }> {
    if (skipped !== undefined) this.#batchesMax = Math.max(this.#batchesMax, batchesOfSkippedMin);
    const batchesMax = this.#batchesMax;
    const first = skipped === undefined ? this.#first : undefined;
    const batches = first ?? (await this.#select(batchesMax, skipped ?? nothing));
    this.#first = undefined;
    return { batches, isEnd: batches.length < batchesMax };
  }

  async #select(batchesMax: number, skipped: SkippedIds): Promise<readonly WalkedBatch[]> {
    const selection = { ...this.#wanted, parts: [this.#part], after: this.#after, batchesMax, skipped };
    return (await selectBatches(this.#db, selection)).flat();
  }

  /** Continues after `batches`, a prefix of `found`. When all of them were needed, the next read is larger. */
  pass(batches: readonly WalkedBatch[], found: readonly WalkedBatch[]): void {
    this.#after = batches.at(-1) ?? this.#after;
    this.#recordsPassed += batches.reduce((sum, batch) => sum + batch.record_count, 0);
    if (batches.length === found.length) this.#batchesMax = Math.min(this.#batchesMax * 4, batchesReadMax);
  }
}

/** Many batches were read when some are skipped, and more will be. */
const batchesOfSkippedMin = 256;
const nothing: SkippedIds = { ids: [], but: [] };

export const batchesReadMax = 4096;
