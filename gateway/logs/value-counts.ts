/** A value and how many records have it. */
export interface CountedValue {
  readonly value: string;
  readonly count: number;
}

/** Counts the records of each value, of a bounded number of values. */
export class ValueCounts {
  readonly #counts = new Map<string, number>();
  readonly #valuesMax: number;

  constructor(valuesMax = 100_000) {
    this.#valuesMax = valuesMax;
  }

  /** False: there are too many values, and this new one was not counted. */
  add(value: string, count = 1): boolean {
    const before = this.#counts.get(value);
    if (before === undefined && this.#counts.size === this.#valuesMax) return false;
    this.#counts.set(value, (before ?? 0) + count);
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
