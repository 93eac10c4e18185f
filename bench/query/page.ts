import { machineLine } from "#bench/machine.ts";
import type { BesideIngest } from "#bench/query/beside-ingest.ts";
import type { MeasuredQuery } from "#bench/query/measure-query.ts";
import type { FleetSize } from "#bench/query/sample-fleet.ts";
import type { Percentiles } from "#bench/simulate/latencies.ts";

export interface QueryResults {
  readonly measured: readonly MeasuredQuery[];
  readonly ingest: BesideIngest | undefined;
  readonly size: FleetSize;
  readonly command: string;
}

/** The page in Markdown. */
export function queryPage({ measured, ingest, size, command }: QueryResults): string {
  const { records, devices, days, endMs } = size;
  const today = (endMs % 86_400_000) / 86_400_000;
  return `# Answers

${machineLine()}.
\`${command}\`: ${records.toLocaleString("en-US")} records of ${devices.toLocaleString("en-US")} devices over ${days} days, of which the last,
${(today * 100).toFixed(0)} % of a day, is open and has no indexes; one question after the other to one gateway over HTTP, ms until the last byte.
Uncached: each time another question of the kind. Cached: the same again. CPU: of gateway and PostgreSQL, per uncached answer.

| question | p50 | p95 | p99 | cached p50 | p95 | CPU ms | wanted | reached |
|---|---:|---:|---:|---:|---:|---:|---|---|
${measured.map(line).join("\n")}
${ingest === undefined ? "" : ingestSection(ingest)}`;
}

function line({ title, uncached, cached, cpuMs, wanted }: MeasuredQuery): string {
  const limits = Object.entries({ p50: wanted?.p50, p95: wanted?.p95 }).flatMap(([name, limit]) =>
    limit === undefined ? [] : [{ name: name as keyof Percentiles, limit }],
  );
  const isReached = uncached.count > 0 && limits.every(({ name, limit }) => uncached[name] < limit);
  const cells = [
    title,
    ...percentiles(uncached, "p50", "p95", "p99"),
    ...percentiles(cached, "p50", "p95"),
    number(cpuMs),
    limits.map(({ name, limit }) => `${name} < ${limit}`).join(", "),
    limits.length === 0 ? "" : isReached ? "yes" : "no",
  ];
  return `| ${cells.join(" | ")} |`;
}

function percentiles(of: Percentiles, ...names: readonly ("p50" | "p95" | "p99")[]): string[] {
  return names.map((name) => (of.count === 0 ? "none" : number(of[name])));
}

function ingestSection({ alone, besideQueries, queries, refused }: BesideIngest): string {
  const ratio = (of: "p50" | "p99") => (besideQueries[of] / alone[of]).toFixed(2);
  return `
## Beside ingest

200 batches of 100 records a second, an open loop, alone and beside twenty who ask for what costs most as fast as they can (${queries}
answers, ${refused} refused or given up), all on the cores of this one machine.

| ms to the acknowledgement | p50 | p99 |
|---|---:|---:|
| alone | ${number(alone.p50)} | ${number(alone.p99)} |
| beside twenty queries | ${number(besideQueries.p50)} | ${number(besideQueries.p99)} |
| ratio | ${ratio("p50")} | ${ratio("p99")} |
`;
}

function number(value: number): string {
  return value < 100 ? value.toPrecision(3) : Math.round(value).toLocaleString("en-US");
}
