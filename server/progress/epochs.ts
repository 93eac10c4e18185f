/** The epoch of each shard when a stream was opened; undefined until Redis answered. */
export interface EpochSnapshot {
  readonly numbers: ReadonlyMap<number, bigint> | undefined;
}

/**
 * Keeps the epochs of stream/epoch.ts for the streams that report them. A stream keeps the snapshot from when it opened,
 * so every batch that it acknowledges was appended in that epoch or in a later one, never in an earlier one: a device may
 * send too much again, but never too little. While Redis is unreachable no batch is acknowledged, and the snapshot of new
 * streams is filled in once Redis is back.
 */
export class EpochRegistry {
  #snapshot: { numbers: ReadonlyMap<number, bigint> | undefined } = { numbers: undefined };

  /** For a stream that opens now. */
  get snapshot(): EpochSnapshot {
    return this.#snapshot;
  }

  /** Call before batches are acknowledged. Returns true when an epoch changed. */
  update(numbers: ReadonlyMap<number, bigint>): boolean {
    const known = this.#snapshot.numbers;
    if (known === undefined) this.#snapshot.numbers = numbers;
    else if ([...numbers].every(([shard, epoch]) => known.get(shard) === epoch)) return false;
    else this.#snapshot = { numbers };
    return true;
  }

  /** Call when batches are no longer acknowledged: the next Redis may be another one. */
  forget(): void {
    if (this.#snapshot.numbers !== undefined) this.#snapshot = { numbers: undefined };
  }

  /** True when the epoch of the shard changed since the snapshot. */
  isOver(snapshot: EpochSnapshot, shard: number): boolean {
    const before = snapshot.numbers?.get(shard);
    const now = this.#snapshot.numbers?.get(shard);
    return before !== undefined && now !== undefined && before !== now;
  }
}
