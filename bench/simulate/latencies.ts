import { createHistogram, type RecordableHistogram } from "node:perf_hooks";

export interface Percentiles {
  readonly count: number;
  readonly p50: number;
  readonly p95: number;
  readonly p99: number;
  readonly max: number;
}

/** Durations in ms, kept to three digits up to an hour in Node's own HDR histogram, which counts whole µs. */
export class Latencies {
  readonly #histogram: RecordableHistogram = createHistogram({
    lowest: 1,
    highest: 3_600_000_000,
    figures: 3,
  });

  record(ms: number): void {
    this.#histogram.record(Math.max(1, Math.round(ms * 1_000)));
  }

  /** `of` in (0, 100]; 0 when nothing was recorded. */
  percentile(of: number): number {
    return this.#histogram.count === 0 ? 0 : this.#histogram.percentile(of) / 1_000;
  }

  get percentiles(): Percentiles {
    return {
      count: this.#histogram.count,
      p50: this.percentile(50),
      p95: this.percentile(95),
      p99: this.percentile(99),
      max: this.percentile(100),
    };
  }

  reset(): void {
    this.#histogram.reset();
  }
}
