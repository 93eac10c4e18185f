import { Command } from "commander";
import { besideIngest } from "#bench/query/beside-ingest.ts";
import { callGateway } from "#bench/query/call-gateway.ts";
import { closeDays, fillHistory } from "#bench/query/fill.ts";
import { type MeasuredQuery, measureQuery } from "#bench/query/measure-query.ts";
import { queryPage } from "#bench/query/page.ts";
import { benchQueries } from "#bench/query/queries.ts";
import { startQuerySystem } from "#bench/query/query-system.ts";
import type { FleetSize } from "#bench/query/sample-fleet.ts";
import { writeResults } from "#bench/results-folder.ts";
import { wholeNumber } from "#lib/options.ts";

/** Sends each query with a small variation each time (uncached), then each again (cached). */
const values = new Command("npm run bench:query --")
  .description("Measures the response times of a gateway over HTTP on a history of the given size.")
  .option("--rows <n>", "records of the history", wholeNumber(1, 1_000_000_000), 10_000_000)
  .option("--devices <n>", "that it is of", wholeNumber(1, 1_000_000), 1_000)
  .option("--days <n>", "over which it goes", wholeNumber(1, 1_000), 10)
  .option("--rounds <n>", "how often a question is asked", wholeNumber(1, 100_000), 200)
  .option(
    "--queries <names>",
    "some, separated by commas, such as device,errors; beside-ingest is one of them",
  )
  .option(
    "--database <url>",
    "fills nothing: has such a history already, made with the same --rows, --devices and --days",
  )
  .option("--json", "what was measured instead of the page")
  .option("--no-save", "keeps no page in bench/results")
  .parse()
  .opts<{
    rows: number;
    devices: number;
    days: number;
    rounds: number;
    queries?: string;
    database?: string;
    json?: boolean;
    save: boolean;
  }>();
const { rows: records, devices, days, rounds } = values;

const startedAt = performance.now();
const progress = (text: string) =>
  process.stderr.write(`${((performance.now() - startedAt) / 1000).toFixed(0)} s: ${text}\n`);

await using running = await startQuerySystem(values.database);
const { system, pool } = running;
const target = system.gateway.addresses.http ?? "";
const size: FleetSize = { records, devices, days, endMs: await endTime() };
if (values.database === undefined) {
  progress("filling …");
  await fillHistory(pool, size, progress);
  progress("closing days …");
  await closeDays(pool, size, progress);
}
progress("asking …");
const queries = benchQueries(size, await deepTokens());
const names = values.queries?.split(",") ?? [...queries.map(({ name }) => name), "beside-ingest"];
const measured: MeasuredQuery[] = [];
for (const query of queries.filter(({ name }) => names.includes(name))) {
  measured.push(await measureQuery(running, target, query, rounds));
  progress(query.title);
}
const ingest = names.includes("beside-ingest") ? await besideIngest(system, target, size) : undefined;
const shownArguments = process.argv.slice(2).map((word) => word.replace(/(:\/\/[^:@/]*:)[^@/]*@/, "$1***@"));
const command = `npm run bench:query -- ${shownArguments.join(" ")}`.replace(/ -- $/, "");
const page = queryPage({ measured, ingest, size, command });
process.stdout.write(values.json ? `${JSON.stringify({ size, measured, ingest })}\n` : page);
if (values.save) await writeResults("query", page);

/** The end of the history: now, or the last batch of an existing database. */
async function endTime(): Promise<number> {
  if (values.database === undefined) return Date.now();
  const { rows } = await pool.query<{ ms: string }>(
    "select (extract(epoch from max(last_seen)) * 1000)::int8 as ms from devices where device_id like 'device-%'",
  );
  return Number(rows[0]?.ms);
}

/** Walks to the 1,000th page of all logs, as a person would, and some further. */
async function deepTokens(): Promise<readonly string[]> {
  const tokens: string[] = [];
  let pageToken = "";
  for (let pageNumber = 1; pageNumber < Math.min(1_000, records / 100) + 20; pageNumber++) {
    const { body } = await callGateway(target, { method: "ListLogs", body: { pageSize: 100, pageToken } });
    pageToken = body.nextPageToken ?? "";
    if (pageToken === "") break;
    if (pageNumber >= Math.min(999, records / 200)) tokens.push(pageToken);
  }
  return tokens;
}
