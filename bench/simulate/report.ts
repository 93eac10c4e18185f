import { machineLine } from "#bench/machine.ts";
import type { Percentiles } from "#bench/simulate/latencies.ts";
import type { SimulateOptions } from "#bench/simulate/options.ts";
import { ms, number } from "#bench/simulate/progress.ts";
import type { Point, Tally } from "#bench/simulate/tally.ts";
import { toVerification, type Verification } from "#bench/stored/verify.ts";

/** The results of a run, written to report.json. */
export interface Report {
  readonly run: string;
  readonly at: string;
  readonly command: string;
  readonly machine: string;
  readonly options: SimulateOptions;
  readonly seconds: number;
  readonly batches: {
    readonly due: number;
    readonly acknowledged: number;
    readonly refused: number;
    readonly lostInDevice: number;
    readonly unacknowledged: number;
  };
  readonly records: { readonly sent: number; readonly acknowledged: number; readonly rejected: number };
  readonly acknowledgedPerSecond: number;
  readonly reconnects: number;
  readonly boots: number;
  /** ms, from the moment at which a batch was due to its acknowledgement. */
  readonly latency: Percentiles;
  /** [percentile, ms], to draw the whole distribution. */
  readonly distribution: readonly (readonly [number, number])[];
  /** ms by which the simulator itself was late, which adds to every latency. */
  readonly lateness: Percentiles;
  readonly errors: readonly { readonly kind: string; readonly count: number }[];
  readonly points: readonly Point[];
  readonly verification: Verification;
}

export function createReport(
  run: string,
  options: SimulateOptions,
  tally: Tally,
  verification: Verification,
): Report {
  const seconds = tally.points.at(-1)?.seconds ?? 0;
  return {
    run,
    at: new Date().toISOString(),
    command: `npm run simulate -- ${process.argv.slice(2).join(" ")}`.trim(),
    machine: machineLine(),
    options,
    seconds,
    batches: {
      due: tally.dueBatches,
      acknowledged: tally.acknowledgedBatches,
      refused: tally.refusedBatches,
      lostInDevice: tally.droppedBatches,
      unacknowledged: tally.uncertainBatches,
    },
    records: {
      sent: tally.sentRecords,
      acknowledged: tally.acknowledgedRecords,
      rejected: tally.rejectedRecords,
    },
    acknowledgedPerSecond: tally.acknowledgedRecords / Math.max(seconds, 1e-3),
    reconnects: tally.reconnects,
    boots: tally.boots,
    latency: tally.latency.percentiles,
    distribution: [0.001, 10, 25, 50, 75, 90, 95, 97.5, 99, 99.5, 99.9, 99.95, 99.99, 100].map(
      (percentile) => [percentile, tally.latency.percentile(percentile)] as const,
    ),
    lateness: tally.lateness.percentiles,
    errors: [...tally.errors].map(([kind, count]) => ({ kind, count })).toSorted((a, b) => b.count - a.count),
    points: tally.points,
    verification,
  };
}

/** Above this p99 the latencies measure the simulator more than the system. */
const latenessMsMax = 50;

/** The report in a few lines for a terminal. */
export function formatSummary(report: Report): string {
  const { batches, records, latency, lateness, options, verification } = report;
  const lines = [
    `${number(options.devices)} devices, ${report.seconds.toFixed(1)} s: ${number(records.acknowledged)} records acknowledged, ${number(report.acknowledgedPerSecond)}/s`,
    `ack latency p50 ${ms(latency.p50)}, p95 ${ms(latency.p95)}, p99 ${ms(latency.p99)}, max ${ms(latency.max)} (${number(latency.count)} batches, from the moment each was due)`,
    `batches: ${number(batches.due)} due, ${number(batches.acknowledged)} acknowledged, ${number(batches.refused)} refused, ${number(batches.lostInDevice)} lost in devices, ${number(batches.unacknowledged)} without an ack; ${number(records.rejected)} records rejected`,
    `${number(report.reconnects)} reconnects, ${number(report.boots)} boots`,
    ...report.errors.map(({ kind, count }) => `  ${number(count)} × ${kind}`),
    toVerification(verification),
    ...verification.faults.map((fault) => `  ${fault}`),
  ];
  if (lateness.p99 > latenessMsMax) {
    lines.push(
      `note: the simulator itself was late by ${ms(lateness.p99)} at p99: it lacks CPU, and the latencies include that`,
    );
  }
  return lines.join("\n");
}
