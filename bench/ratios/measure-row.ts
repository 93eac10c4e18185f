import { type PerPart, parts } from "#bench/path/bench-system.ts";
import { median } from "#bench/path/statistics.ts";
import type { RatioBench } from "#bench/ratios/ratio-bench.ts";
import type { Ratio, Reading, Row } from "#bench/ratios/row.ts";

/** A row after all its rounds. */
export interface MeasuredRow {
  readonly name: string;
  readonly title: string;
  readonly unit: string;
  readonly values: readonly MeasuredValue[];
  readonly ratios: readonly (Ratio & { readonly value: number; readonly reached: boolean | undefined })[];
}

interface MeasuredValue {
  readonly name: string;
  readonly median: number;
  readonly min: number;
  readonly max: number;
  /** CPU seconds per million records, medians. */
  readonly cpu: PerPart | undefined;
}

/**
 * Measures in turn, A B B A: a machine that gets slower or faster during the run does so for all. Ratios are those of
 * medians.
 */
export async function measureRow(
  name: string,
  row: Row,
  bench: RatioBench,
  rounds: number,
): Promise<MeasuredRow> {
  const readings = new Map<string, Reading[]>();
  for (let round = 1; round <= Math.min(rounds, row.roundsMax ?? rounds); round += 1) {
    for (const measure of round % 2 === 1 ? row.measure : row.measure.toReversed()) {
      for (const [what, reading] of Object.entries(await measure(bench))) {
        readings.set(what, [...(readings.get(what) ?? []), reading]);
      }
    }
  }
  return summarise(name, row, readings);
}

export function summarise(
  name: string,
  { title, unit, ratios }: Pick<Row, "title" | "unit" | "ratios">,
  readings: ReadonlyMap<string, readonly Reading[]>,
): MeasuredRow {
  const values = [...readings].map(([name, list]) => {
    const numbers = list.map(({ value }) => value);
    return {
      name,
      median: median(numbers),
      min: Math.min(...numbers),
      max: Math.max(...numbers),
      cpu: medianCpu(list),
    };
  });
  const computeMedian = (name: string) => values.find((value) => value.name === name)?.median ?? Number.NaN;
  return {
    name,
    title,
    unit,
    values,
    ratios: ratios.map((ratio) => {
      const value = computeMedian(ratio.of) / (ratio.over === undefined ? 1 : computeMedian(ratio.over));
      return { ...ratio, value, reached: isReached(ratio, value) };
    }),
  };
}

/** Undefined when nothing is wanted. */
function isReached({ atLeast, atMost }: Ratio, value: number): boolean | undefined {
  if (atLeast === undefined && atMost === undefined) return undefined;
  return (atLeast === undefined || value >= atLeast) && (atMost === undefined || value <= atMost);
}

function medianCpu(readings: readonly Reading[]): PerPart | undefined {
  const all = readings.flatMap(({ cpu }) => cpu ?? []);
  if (all.length === 0) return undefined;
  return Object.fromEntries(parts.map((part) => [part, median(all.map((cpu) => cpu[part]))])) as PerPart;
}
