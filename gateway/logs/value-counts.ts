/** A value and how many records have it. */
export interface CountedValue {
  readonly value: string;
  readonly count: number;
}

/** Counts the records of each value, of values that are together not too large. */
export class ValueCounts {
  readonly #counts = new Map<string, number>();
  readonly #bytesMax: number;
  #bytes = 0;

  constructor(bytesMax = 32 * 1024 * 1024) {
    this.#bytesMax = bytesMax;
  }

  /** False: there are too many values, and this new one was not counted. */
  add(value: string): boolean {
    const before = this.#counts.get(value);
    if (before === undefined) {
      const bytes = 2 * value.length + valueBytes;
      if (this.#bytes + bytes > this.#bytesMax) return false;
      this.#bytes += bytes;
    }
    this.#counts.set(value, (before ?? 0) + 1);
    return true;
  }

  /** Of the values that are wanted those with the most records; of equally many the first by their UTF-8. */
  top(limit: number, isWanted: (value: string) => boolean = () => true): CountedValue[] {
    return [...this.#counts]
      .filter(([value]) => isWanted(value))
      .map(([value, count]) => ({ value, count }))
      .sort((a, b) => b.count - a.count || Buffer.compare(Buffer.from(a.value), Buffer.from(b.value)))
      .slice(0, limit);
  }
}

/** About the size of a value in memory beside its characters. */
const valueBytes = 100;
