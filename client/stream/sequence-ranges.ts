interface Range {
  readonly first: bigint;
  readonly last: bigint;
}

/** A set of sequences, kept as ranges. Beyond `rangesMax` ranges the lowest are forgotten. */
export class SequenceRanges {
  readonly #rangesMax: number;
  /** Rising, none touching the next. */
  #ranges: readonly Range[] = [];

  constructor(rangesMax = 1_000) {
    this.#rangesMax = rangesMax;
  }

  /** Both ends included. */
  add(first: bigint, last: bigint): void {
    const below = this.#ranges.filter((range) => range.last < first - 1n);
    const above = this.#ranges.filter((range) => range.first > last + 1n);
    const touched = this.#ranges.slice(below.length, this.#ranges.length - above.length);
    const merged = {
      first: minimum(first, touched[0]?.first ?? first),
      last: maximum(last, touched.at(-1)?.last ?? last),
    };
    this.#ranges = [...below, merged, ...above].slice(-this.#rangesMax);
  }

  /** How many of its sequences are at most `until`. */
  countUntil(until: bigint): bigint {
    let count = 0n;
    for (const { first, last } of this.#ranges) {
      if (first > until) break;
      count += minimum(last, until) - first + 1n;
    }
    return count;
  }
}

function minimum(a: bigint, b: bigint): bigint {
  return a < b ? a : b;
}

function maximum(a: bigint, b: bigint): bigint {
  return a > b ? a : b;
}
