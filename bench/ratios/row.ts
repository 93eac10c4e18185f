import type { PerPart } from "#bench/path/bench-system.ts";
import type { RatioBench } from "#bench/ratios/ratio-bench.ts";

/** One measured value. */
export interface Reading {
  readonly value: number;
  /** CPU seconds per million records, where records went through the system. */
  readonly cpu?: PerPart;
}

/** Keyed by the name of the measurement. */
export type Readings = Readonly<Record<string, Reading>>;

/** One value, or the ratio of two, and its target. */
export interface Ratio {
  readonly of: string;
  readonly over?: string;
  readonly atLeast?: number;
  readonly atMost?: number;
}

/** A row of the page: a few things measured in turn, and how they compare. */
export interface Row {
  readonly title: string;
  readonly unit: string;
  /** Each is run once a round; in every other round in reverse order. */
  readonly measure: readonly ((bench: RatioBench) => Promise<Readings>)[];
  readonly ratios: readonly Ratio[];
  /** Bytes do not vary with the load of the machine as times do: fewer rounds are enough. */
  readonly roundsMax?: number;
}
