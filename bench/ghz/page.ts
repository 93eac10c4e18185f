import type { CallMeasurement } from "#bench/ghz/measure-call.ts";
import { machineLine } from "#bench/machine.ts";
import { parts } from "#bench/path/bench-system.ts";

/** One page in Markdown of all runs. */
export function ghzPage(measurements: readonly CallMeasurement[], command: string): string {
  const rows = measurements.map((measurement) => {
    const { call, target, ghz, recordsPerSecond } = measurement;
    return [
      toName(measurement),
      target,
      `${call.batchesPerCall} × ${call.recordsPerBatch}`,
      number(ghz.callsPerSecond),
      number(recordsPerSecond),
      ...[ghz.p50, ghz.p95, ghz.p99].map((value) => value.toFixed(1)),
      formatStatuses(ghz.statuses),
    ];
  });
  const cpu = measurements.map((measurement) => [
    `${toName(measurement)} ${measurement.target}`,
    ...[...parts, "ghz" as const].map((part) => measurement.cpu[part].toFixed(1)),
  ]);
  const verified = measurements.map((measurement) => [
    `${toName(measurement)} ${measurement.target}`,
    number(measurement.acknowledgedRecords),
    number(measurement.storedRows),
    number(measurement.doubledRows),
    measurement.lastAckToLastRowMs.toFixed(0),
    measurement.fault ?? "verified",
  ]);
  const errors = measurements.flatMap((measurement) =>
    Object.entries(measurement.ghz.errors).map(([message, count]) => [
      `${toName(measurement)} ${measurement.target}`,
      number(count),
      message.slice(0, 200).replaceAll("|", "\\|"),
    ]),
  );
  return `# ghz

${machineLine()}.
\`${command}\`; everything, ghz included, on this one machine. ghz times a stream as one call, fills in its template for every
batch and reads it as JSON: look at its CPU before blaming the servers for a rate.

${table(["run", "target", "batches × records a call", "calls/s", "records/s", "p50 ms", "p95 ms", "p99 ms", "calls by status"], rows)}

CPU seconds per million records:

${table(["run", ...parts, "ghz"], cpu)}

Records acknowledged = rows stored, none doubled:

${table(["run", "acknowledged", "rows stored", "doubled", "last ack to last row, ms", ""], verified)}
${errors.length > 0 ? `\nErrors:\n\n${table(["run", "calls", "message"], errors)}\n` : ""}`;
}

function toName({ call }: CallMeasurement): string {
  return call.name;
}

function formatStatuses(statuses: Readonly<Record<string, number>>): string {
  return Object.entries(statuses)
    .map(([status, count]) => `${status} ${number(count)}`)
    .join(", ");
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const rule = head.map((_, at) => (at === 0 ? "---" : "---:"));
  return [head, rule, ...rows].map((cells) => `| ${cells.join(" | ")} |`).join("\n");
}

function number(value: number): string {
  return Math.round(value).toLocaleString("en-US");
}
