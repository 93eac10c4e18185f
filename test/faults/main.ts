import { appendFileSync, existsSync, readFileSync } from "node:fs";
import { chmod, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Command, Option } from "commander";
import { someOf, wholeNumber } from "#lib/options.ts";
import type { Pace } from "./fault.ts";
import { languages } from "./languages.ts";
import { commit, heading } from "./machine.ts";
import { outcome, page, pageRow } from "./page.ts";
import { allRows, smokeRows } from "./rows/all.ts";
import { isClean } from "./run.ts";
import { type AnyRun, Fixtures, runRow } from "./run-row.ts";

const values = new Command("npm run faults --")
  .description(
    "Goes through the matrix of faults, judges what became of every record, and prints the page.\n" +
      "Exit code 0: everything held; 1: something was lost, doubled, made up or changed, or the system did not come\n" +
      "back; 2: only void rows, nothing is shown.",
  )
  .option("--list", "names the rows, and how often each is run")
  .addOption(
    new Option("--fleet <language>", "whose client library the devices use")
      .choices(["ts", ...Object.keys(languages)])
      .default("ts"),
  )
  .option("--rows <names>", "some rows (default: all)", someOf(allRows.map(({ name }) => name)))
  .option("--smoke", "the most telling rows, once each, at the quick pace")
  .option("--runs <n>", "of each row (default: as --list says)", wholeNumber(1, 100_000))
  .option("--run <number>", "one run alone, as it was made with the same seed", wholeNumber(0, 100_000))
  .option("--seed <n>", "the same seed, the same runs", wholeNumber(0, 2 ** 31), 1)
  .addOption(
    new Option("--pace <pace>", "how long waits are").choices(["quick", "normal", "full"]).default("normal"),
  )
  .option("--resume <file>", "where each run is noted, and what is noted is not made again")
  .option("--report", "makes no run: the page of all that the file has, of whatever commits")
  .option("--json", "an object per row instead of the page")
  .parse()
  .opts<{
    list?: boolean;
    fleet: string;
    rows?: readonly string[];
    smoke?: boolean;
    runs?: number;
    run?: number;
    seed: number;
    pace: Pace;
    resume?: string;
    report?: boolean;
    json?: boolean;
  }>();
const { seed, fleet } = values;
const pace = values.smoke ? "quick" : values.pace;
const names = values.smoke ? smokeRows : values.rows;
const chosen = allRows.filter(({ name }) => names?.includes(name) ?? true);

if (values.list) {
  for (const { name, title, runsFull } of chosen) console.log(`${name} (${runsFull}): ${title}`);
  process.exit();
}

const whyNot = await languages[fleet]?.whyNot();
if (whyNot !== undefined) {
  console.error(whyNot);
  process.exit(1);
}
const program = await languages[fleet]?.device();

// One folder for all there is, so that a run that is killed leaves one thing to remove.
const folder = await mkdtemp(join(tmpdir(), "fleetlog-faults-run-"));
await chmod(folder, 0o755);
process.env.TMPDIR = folder;

const done = readDone(values.resume);
const commits = values.report ? [...new Set(done.map(({ of }) => of))] : [commit()];
const fixtures = new Fixtures();
const say = (line: string) => void process.stderr.write(`${line}\n`);
const lines = await heading(await fixtures.current(), { commits, command: commandLine(), seed });
const rows = [];
for (const fault of chosen) {
  const skipped = fault.impossible?.() ?? "";
  const runs = values.report ? Number.POSITIVE_INFINITY : values.smoke ? 1 : (values.runs ?? fault.runsFull);
  const results: AnyRun[] = done.filter((run) => run.fault === fault.name && run.run < runs);
  if (skipped === "" && !values.report) {
    const isDone = (number: number) =>
      results.some(({ run }) => run === number) || number !== (values.run ?? number);
    await runRow(fixtures, fault, { runs, seed, pace, program, isDone, onRun: (run) => onRun(run, results) });
  }
  const row = pageRow(fault, results, skipped);
  rows.push(row);
  say(`${outcome(row).padEnd(7)} ${fault.name}${skipped && `: ${skipped}`}`);
}
await fixtures.giveUp();
console.log(values.json ? JSON.stringify(rows, null, 2) : page(lines, rows));
await rm(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 250 });
const outcomes = new Set(rows.map(outcome));
process.exit(outcomes.has("broken") ? 1 : outcomes.has("held") ? 0 : 2);

/** Void runs are reported and repeated. */
function onRun(run: AnyRun, results: AnyRun[]): void {
  const name = `${run.fault} ${run.run}`;
  if ("failure" in run) say(`  failed  ${name} seed ${run.seed}: ${run.failure}`);
  else if (!isClean(run)) say(`  broken  ${name} seed ${run.seed}: ${JSON.stringify(run)}`);
  else if (run.evidence === "") return say(`  void    ${name} seed ${run.seed}`);
  else say(`  held    ${name}: ${run.evidence}; recovered in ${run.recoverySeconds} s`);
  results.push(run);
  if (values.resume)
    appendFileSync(values.resume, `${JSON.stringify({ ...run, fleet, pace, of: commit() })}\n`);
}

/**
 * The finished runs of an interrupted session with the same fleet, commit, seed and pace. For a report,
 * all runs of the fleet.
 */
function readDone(file: string | undefined): readonly (AnyRun & { readonly of: string })[] {
  if (!file || !existsSync(file)) return [];
  const runs = readFileSync(file, "utf8").split("\n").filter(Boolean);
  return runs
    .map((line) => JSON.parse(line) as AnyRun & { fleet: string; pace: Pace; of: string })
    .filter((run) => run.fleet === fleet)
    .filter((run) => values.report || (run.pace === pace && run.of === commit()));
}

function commandLine(): string {
  const given = process.argv.slice(2);
  return `npm run faults${given.length > 0 ? ` -- ${given.join(" ")}` : ""}`;
}
