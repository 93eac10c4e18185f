import type { Point, Tally } from "#bench/simulate/tally.ts";

/** The state of a run in a few lines. */
export function progressLines(point: Point, tally: Tally): readonly string[] {
  const { latency } = point;
  const backlog = [
    `${number(point.waitingBatches)} batches without an answer`,
    point.notStoredRecords === undefined ? "" : `${number(point.notStoredRecords)} records not stored yet`,
  ];
  const errors = [...tally.errors].toSorted(([, a], [, b]) => b - a).slice(0, errorLinesMax);
  return [
    `${point.seconds.toFixed(0).padStart(4)} s  ${number(tally.sentRecords)} records sent, ${number(tally.acknowledgedRecords)} acknowledged (${number(point.acknowledgedRecords)} in this second)`,
    `        ack p50 ${ms(latency.p50)}, p95 ${ms(latency.p95)}, p99 ${ms(latency.p99)}; whole run p99 ${ms(tally.latency.percentile(99))}`,
    `        ${backlog.filter((text) => text !== "").join(", ")}; ${tally.reconnects} reconnects, ${tally.boots} boots`,
    ...errors.map(([kind, count]) => `        ${number(count)} × ${kind}`),
  ];
}

const errorLinesMax = 5;

/** Writes the lines over those before; only for a terminal. */
export class LiveLines {
  readonly #stream: NodeJS.WriteStream;
  #shown = 0;

  constructor(stream: NodeJS.WriteStream) {
    this.#stream = stream;
  }

  show(lines: readonly string[]): void {
    if (!this.#stream.isTTY) return;
    const cut = lines.map((line) => line.slice(0, this.#stream.columns - 1));
    const up = this.#shown > 0 ? `\x1b[${this.#shown}F` : "";
    this.#stream.write(`${up}${cut.map((line) => `\x1b[2K${line}\n`).join("")}\x1b[0J`);
    this.#shown = cut.length;
  }
}

export function ms(value: number): string {
  if (value >= 10_000) return `${(value / 1_000).toFixed(1)} s`;
  return `${value >= 100 || value === 0 ? Math.round(value) : value.toPrecision(2)} ms`;
}

export function number(value: number): string {
  return Math.round(value).toLocaleString("en-US");
}
