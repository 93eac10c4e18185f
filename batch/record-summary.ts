import type { RareFields } from "./rare-fields.ts";
import type { RecordFields } from "./record-fields.ts";
import { type BatchClock, hasTime } from "./record-time.ts";
import { nanosToMicros } from "./timestamp.ts";

const errorSeverity = 17;

/** What the row of a batch says about its accepted records: their times, severities and errors. */
export class RecordSummary {
  severities = 0;
  errorCount = 0;
  /** Records without a time of their own. */
  untimedCount = 0;
  #saysMore = false;
  #ownBootMicros: number | undefined;
  #uptimeMaxMicros = 0;
  #uptimeOnlyCount = 0;
  // Nanoseconds in two unsigned halves. "First" starts after "last", until there is a time.
  #firstHigh = 2 ** 32;
  #firstLow = 0;
  #lastHigh = -1;
  #lastLow = 0;

  add(record: RecordFields): void {
    this.severities |= 1 << record.severity;
    if (record.severity >= errorSeverity) this.errorCount += 1;
    if (record.rare !== undefined) this.#addClock(record, record.rare);
    if (hasTime(record)) this.#addTime(record.timeHigh >>> 0, record.timeLow >>> 0);
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

  /** Undefined when no record has an uptime or was observed, as nearly always. */
  get clock(): BatchClock | undefined {
    if (!this.#saysMore) return undefined;
    return {
      ownBootMicros: this.#ownBootMicros,
      uptimeMaxMicros: this.#uptimeMaxMicros,
      uptimeOnlyCount: this.#uptimeOnlyCount,
    };
  }

  #addClock(record: RecordFields, rare: RareFields): void {
    if (rare.hasObservedTime) this.#saysMore = true;
    if (!rare.hasUptime) return;
    this.#saysMore = true;
    const uptimeMicros = nanosToMicros(rare.uptimeHigh, rare.uptimeLow);
    this.#uptimeMaxMicros = Math.max(this.#uptimeMaxMicros, uptimeMicros);
    if (!hasTime(record)) this.#uptimeOnlyCount += 1;
    else {
      const micros = nanosToMicros(record.timeHigh, record.timeLow);
      // After the year 2255 no longer exact, and as wrong as a boot after the reception.
      this.#ownBootMicros = Number.isSafeInteger(micros) ? micros - uptimeMicros : Number.POSITIVE_INFINITY;
    }
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
