import { Command } from "commander";
import { closeDays, fillHistory } from "#bench/query/fill.ts";
import { startQuerySystem } from "#bench/query/query-system.ts";
import type { FleetSize } from "#bench/query/sample-fleet.ts";
import { writeResults } from "#bench/results-folder.ts";
import { type MeasuredSql, measureSql } from "#bench/sql/measure-sql.ts";
import { sqlPage } from "#bench/sql/page.ts";
import { sqlQueries } from "#bench/sql/queries.ts";
import { wholeNumber } from "#lib/options.ts";

/** Asks what a panel of Grafana asks, by SQL and through the gateway. */
const values = new Command("npm run bench:sql --")
  .description("Measures SQL over the view logs and its functions beside the gateway.")
  .option("--rows <n>", "records of the history", wholeNumber(1, 1_000_000_000), 3_000_000)
  .option("--devices <n>", "that it is of", wholeNumber(1, 1_000_000), 1_000)
  .option("--days <n>", "over which it goes", wholeNumber(1, 1_000), 10)
  .option("--rounds <n>", "how often a question is asked", wholeNumber(1, 10_000), 30)
  .option("--no-save", "keeps no page in bench/results")
  .parse()
  .opts<{ rows: number; devices: number; days: number; rounds: number; save: boolean }>();
const { rows: records, devices, days, rounds } = values;

const startedAt = performance.now();
const progress = (text: string) =>
  process.stderr.write(`${((performance.now() - startedAt) / 1000).toFixed(0)} s: ${text}\n`);

await using running = await startQuerySystem(undefined);
const { system, pool } = running;
const size: FleetSize = { records, devices, days, endMs: Date.now() };
progress("filling …");
await fillHistory(pool, size, progress);
progress("closing days …");
await closeDays(pool, size, progress);
progress("asking …");
const measured: MeasuredSql[] = [];
for (const [index, { title }] of sqlQueries(size, 0).entries()) {
  const queryAt = (round: number) => sqlQueries(size, round)[index]!;
  measured.push(await measureSql(pool, system.gateway.addresses.http ?? "", queryAt, rounds));
  progress(title);
}
const page = sqlPage(
  measured,
  size,
  `npm run bench:sql -- ${process.argv.slice(2).join(" ")}`.replace(/ -- $/, ""),
);
process.stdout.write(page);
if (values.save) await writeResults("sql", page);
