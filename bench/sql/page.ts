import { machineLine } from "#bench/machine.ts";
import type { FleetSize } from "#bench/query/sample-fleet.ts";
import type { MeasuredSql } from "./measure-sql.ts";

/** The page in Markdown. */
export function sqlPage(measured: readonly MeasuredSql[], size: FleetSize, command: string): string {
  const { records, devices, days } = size;
  return `# SQL beside the gateway

${machineLine()}.
\`${command}\`: ${records.toLocaleString("en-US")} records of ${devices.toLocaleString("en-US")} devices over ${days} days; medians in ms of statements as Grafana sends them, and of
the gateway's uncached answers to the same questions over HTTP, in turns. Days: partitions of records that the statement read.

| question | rows | days | SQL | gateway | SQL ÷ gateway |
|---|---:|---:|---:|---:|---:|
${measured.map(line).join("\n")}
`;
}

function line({ title, rows, days, sqlMs, gatewayMs }: MeasuredSql): string {
  const [gateway, ratio] =
    gatewayMs === undefined ? ["–", "–"] : [gatewayMs.toPrecision(3), (sqlMs / gatewayMs).toFixed(2)];
  return `| ${title} | ${rows} | ${days} | ${sqlMs.toPrecision(3)} | ${gateway} | ${ratio} |`;
}
