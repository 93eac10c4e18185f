import { limits } from "./limits.ts";

/** The number of records of one severity in one minute. */
export interface MinuteCount {
  /** Whole minutes since 1970. */
  readonly minute: number;
  readonly severity: number;
  readonly count: number;
}

/**
 * Counts the records of a flush per minute and severity. Records that are neighbours nearly always share their
 * minute, so its counts are kept at hand, and counting one costs one addition.
 */
export class RecordStatistics {
  readonly #countsByMinute = new Map<number, Uint32Array<ArrayBuffer>>();
  #minute = Number.NaN;
  #counts = new Uint32Array(0);

  add(minute: number, severity: number): void {
    if (minute !== this.#minute) this.#turnTo(minute);
    this.#counts[severity]! += 1;
  }

  /** The counts that are not 0, by rising minute and severity: the order in which rows are locked. */
  *[Symbol.iterator](): Generator<MinuteCount> {
    for (const minute of [...this.#countsByMinute.keys()].toSorted((a, b) => a - b)) {
      for (const [severity, count] of this.#countsByMinute.get(minute)!.entries()) {
        if (count > 0) yield { minute, severity, count };
      }
    }
  }

  clear(): void {
    this.#countsByMinute.clear();
    this.#minute = Number.NaN;
  }

  #turnTo(minute: number): void {
    let counts = this.#countsByMinute.get(minute);
    if (counts === undefined) {
      counts = new Uint32Array(limits.severityMax + 1);
      this.#countsByMinute.set(minute, counts);
    }
    this.#minute = minute;
    this.#counts = counts;
  }
}
