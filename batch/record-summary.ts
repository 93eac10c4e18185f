import type { RecordFields } from "./record-fields.ts";

const errorSeverity = 17;

/** What the row of a batch says about its accepted records: their times, severities and errors. */
export class RecordSummary {
  severities = 0;
  errorCount = 0;
  untimedCount = 0;
  // Nanoseconds in two unsigned halves. "First" starts after "last", until there is a time.
  #firstHigh = 2 ** 32;
  #firstLow = 0;
  #lastHigh = -1;
  #lastLow = 0;

  add(record: RecordFields): void {
    this.severities |= 1 << record.severity;
    if (record.severity >= errorSeverity) this.errorCount += 1;
    const { rare } = record;
    if ((record.timeHigh | record.timeLow) !== 0) this.#addTime(record.timeHigh >>> 0, record.timeLow >>> 0);
    else if (rare?.hasObservedTime === true) this.#addTime(rare.observedHigh >>> 0, rare.observedLow >>> 0);
    else this.untimedCount += 1;
  }

  /** µs since 1970 of the earliest time; undefined without any. */
  get firstTimeMicros(): bigint | undefined {
    return this.#lastHigh < 0 ? undefined : micros(this.#firstHigh, this.#firstLow);
  }

  /** µs since 1970 of the latest time; undefined without any. */
  get lastTimeMicros(): bigint | undefined {
    return this.#lastHigh < 0 ? undefined : micros(this.#lastHigh, this.#lastLow);
  }

  #addTime(high: number, low: number): void {
    if (high < this.#firstHigh || (high === this.#firstHigh && low < this.#firstLow)) {
      this.#firstHigh = high;
      this.#firstLow = low;
    }
    if (high > this.#lastHigh || (high === this.#lastHigh && low > this.#lastLow)) {
      this.#lastHigh = high;
      this.#lastLow = low;
    }
  }
}

/** Nanoseconds become microseconds here as they do in the rows: by cutting off. */
function micros(nanosHigh: number, nanosLow: number): bigint {
  return ((BigInt(nanosHigh) << 32n) | BigInt(nanosLow)) / 1000n;
}
