import { parseArgs } from "node:util";
import { ask } from "#bench/query/ask.ts";
import { besideIngest } from "#bench/query/beside-ingest.ts";
import { closeDays, fillHistory } from "#bench/query/fill.ts";
import { type MeasuredQuestion, measureQuestion } from "#bench/query/measure-question.ts";
import { queryPage } from "#bench/query/page.ts";
import { startQuerySystem } from "#bench/query/query-system.ts";
import { questionsAbout } from "#bench/query/questions.ts";
import type { FleetSize } from "#bench/query/sample-fleet.ts";
import { writeResults } from "#bench/results-folder.ts";

/*
 * `npm run bench:query [-- --rows 10000000] [--devices 1000] [--days 10] [--rounds 200] [--questions device,errors]
 * [--json] [--no-save] [--database URL]`: how long answers take, of a gateway over HTTP, from a history of so many rows.
 *
 * A question is asked one after the other, each time a little different (uncached), then each again (cached). With
 * `--database` nothing is filled: it must hold such a history already, made with the same --rows, --devices and --days.
 */
const { values } = parseArgs({
  options: {
    rows: { type: "string", default: "10000000" },
    devices: { type: "string", default: "1000" },
    days: { type: "string", default: "10" },
    rounds: { type: "string", default: "200" },
    questions: { type: "string" },
    database: { type: "string" },
    json: { type: "boolean", default: false },
    "no-save": { type: "boolean", default: false },
  },
});
const [records, devices, days, rounds] = [values.rows, values.devices, values.days, values.rounds].map(
  Number,
);
const isWhole = (value: number | undefined): value is number => Number.isInteger(value) && (value ?? 0) > 0;
if (!(isWhole(records) && isWhole(devices) && isWhole(days) && isWhole(rounds))) {
  process.stderr.write("wanted: whole numbers above 0 for --rows, --devices, --days and --rounds\n");
  process.exit(1);
}

const startedAt = performance.now();
const progress = (text: string) =>
  process.stderr.write(`${((performance.now() - startedAt) / 1000).toFixed(0)} s: ${text}\n`);

await using running = await startQuerySystem(values.database);
const { system, pool } = running;
const target = system.gateway.addresses.http ?? "";
const size: FleetSize = { records, devices, days, endMs: await endOf() };
if (values.database === undefined) {
  progress("filling …");
  await fillHistory(pool, size, progress);
  progress("closing days …");
  await closeDays(pool, size);
}
progress("asking …");
const questions = questionsAbout(size, await deepTokens());
const names = values.questions?.split(",") ?? [...questions.map(({ name }) => name), "beside-ingest"];
const measured: MeasuredQuestion[] = [];
for (const question of questions.filter(({ name }) => names.includes(name))) {
  measured.push(await measureQuestion(running, target, question, rounds));
  progress(question.title);
}
const ingest = names.includes("beside-ingest") ? await besideIngest(system, target, size) : undefined;
const told = process.argv.slice(2).map((word) => word.replace(/(:\/\/[^:@/]*:)[^@/]*@/, "$1***@"));
const command = `npm run bench:query -- ${told.join(" ")}`.replace(/ -- $/, "");
const page = queryPage({ measured, ingest, size, command });
process.stdout.write(values.json ? `${JSON.stringify({ size, measured, ingest })}\n` : page);
if (!values["no-save"]) await writeResults("query", page);

/** When the history ends: now, or with the last batch of a database that was there. */
async function endOf(): Promise<number> {
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
  for (let pageNumber = 1; pageNumber < Math.min(1_000, records! / 100) + 20; pageNumber++) {
    const { body } = await ask(target, { method: "ListLogs", body: { pageSize: 100, pageToken } });
    pageToken = body.nextPageToken ?? "";
    if (pageToken === "") break;
    if (pageNumber >= Math.min(999, records! / 200)) tokens.push(pageToken);
  }
  return tokens;
}
