/** Which epoch each shard had when a stream was opened; nothing until Redis could be asked. */
export interface Epochs {
  readonly numbers: ReadonlyMap<number, bigint> | undefined;
}

/**
 * Keeps the epochs of stream/epoch.ts for the streams that will tell them. A stream holds on to the page that was open
 * when it began, so every batch that it acknowledges was appended in that epoch or in a later one, never in an earlier:
 * a device may send too much again, but not too little. While Redis is unreachable no batch is acknowledged, and the page of
 * streams that begin then is filled in when Redis is back.
 */
export class EpochBook {
  #page: { numbers: ReadonlyMap<number, bigint> | undefined } = { numbers: undefined };

  /** For a stream that begins now. */
  get page(): Epochs {
    return this.#page;
  }

  /** Call before batches are acknowledged. Returns whether it was news. */
  learn(numbers: ReadonlyMap<number, bigint>): boolean {
    const known = this.#page.numbers;
    if (known === undefined) this.#page.numbers = numbers;
    else if ([...numbers].every(([shard, epoch]) => known.get(shard) === epoch)) return false;
    else this.#page = { numbers };
    return true;
  }

  /** No batch is acknowledged from now on: the next Redis may be another one. */
  forget(): void {
    if (this.#page.numbers !== undefined) this.#page = { numbers: undefined };
  }

  /** Whether this shard has another epoch now than on a page from before. */
  isOver(page: Epochs, shard: number): boolean {
    const before = page.numbers?.get(shard);
    const now = this.#page.numbers?.get(shard);
    return before !== undefined && now !== undefined && before !== now;
  }
}
