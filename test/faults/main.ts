import { appendFileSync, existsSync, readFileSync } from "node:fs";
import { chmod, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import type { Fault, Pace } from "./fault.ts";
import { commit, heading } from "./machine.ts";
import { outcome, page, pageRow } from "./page.ts";
import { allRows } from "./rows/all.ts";
import { isClean } from "./run.ts";
import { type AnyRun, runRow, Worlds } from "./run-row.ts";

// `npm run faults`: goes through the matrix and prints the page. `--run 7` makes run 7 of a row alone, as it was made
// with the same seed; `--report` makes no run and prints the page of all that the file of `--resume` has, of whatever
// commits. Exit code 0: everything held; 1: something was lost, doubled, made up or changed, or the system
// did not come back; 2: only void rows, nothing is shown.

const { values } = parseArgs({
  options: {
    rows: { type: "string", default: "" },
    runs: { type: "string" },
    run: { type: "string" },
    seed: { type: "string", default: "1" },
    pace: { type: "string", default: "normal" },
    json: { type: "boolean", default: false },
    resume: { type: "string" },
    report: { type: "boolean", default: false },
    list: { type: "boolean", default: false },
  },
});
const pace = values.pace as Pace;
if (!["quick", "normal", "full"].includes(pace))
  throw new Error(`--pace ${pace}: wanted quick, normal or full`);
const seed = Number(values.seed);
const chosen = choose(values.rows);

if (values.list) {
  for (const { name, title, runsFull } of chosen) console.log(`${name} (${runsFull}): ${title}`);
  process.exit();
}

// One folder for all there is, so that a run that is killed leaves one thing to remove.
const folder = await mkdtemp(join(tmpdir(), "fleetlog-faults-run-"));
await chmod(folder, 0o755);
process.env.TMPDIR = folder;

const done = readDone(values.resume);
const commits = values.report ? [...new Set(done.map(({ of }) => of))] : [commit()];
const worlds = new Worlds();
const say = (line: string) => void process.stderr.write(`${line}\n`);
const lines = await heading(await worlds.current(), { commits, command: commandLine(), seed });
const rows = [];
for (const fault of chosen) {
  const skipped = fault.impossible?.() ?? "";
  const runs = values.report ? Number.POSITIVE_INFINITY : Number(values.runs ?? fault.runsFull);
  const results: AnyRun[] = done.filter((run) => run.fault === fault.name && run.run < runs);
  if (skipped === "" && !values.report) {
    const isDone = (number: number) =>
      results.some(({ run }) => run === number) || number !== Number(values.run ?? number);
    await runRow(worlds, fault, { runs, seed, pace, isDone, onRun: (run) => onRun(run, results) });
  }
  const row = pageRow(fault, results, skipped);
  rows.push(row);
  say(`${outcome(row).padEnd(7)} ${fault.name}${skipped && `: ${skipped}`}`);
}
await worlds.giveUp();
console.log(values.json ? JSON.stringify(rows, null, 2) : page(lines, rows));
await rm(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 250 });
const outcomes = new Set(rows.map(outcome));
process.exit(outcomes.has("broken") ? 1 : outcomes.has("held") ? 0 : 2);

/** Void runs are told and forgotten: another one takes their place. */
function onRun(run: AnyRun, results: AnyRun[]): void {
  const name = `${run.fault} ${run.run}`;
  if ("failure" in run) say(`  failed  ${name} seed ${run.seed}: ${run.failure}`);
  else if (!isClean(run)) say(`  broken  ${name} seed ${run.seed}: ${JSON.stringify(run)}`);
  else if (run.evidence === "") return say(`  void    ${name} seed ${run.seed}`);
  else say(`  held    ${name}: ${run.evidence}; recovered in ${run.recoverySeconds} s`);
  results.push(run);
  if (values.resume) appendFileSync(values.resume, `${JSON.stringify({ ...run, pace, of: commit() })}\n`);
}

/** What an interrupted run has done already: runs of the same commit, seed and pace. For a report, all there is. */
function readDone(file: string | undefined): readonly (AnyRun & { readonly of: string })[] {
  if (!file || !existsSync(file)) return [];
  const runs = readFileSync(file, "utf8").split("\n").filter(Boolean);
  return runs
    .map((line) => JSON.parse(line) as AnyRun & { pace: Pace; of: string })
    .filter((run) => values.report || (run.pace === pace && run.of === commit()));
}

function choose(names: string): readonly Fault[] {
  const wanted = names.split(",").filter(Boolean);
  const unknown = wanted.filter((name) => !allRows.some((row) => row.name === name));
  if (unknown.length > 0) throw new Error(`--rows: there is no ${unknown.join(", ")}; --list names them all`);
  return wanted.length === 0 ? allRows : allRows.filter(({ name }) => wanted.includes(name));
}

function commandLine(): string {
  const given = process.argv.slice(2);
  return `npm run faults${given.length > 0 ? ` -- ${given.join(" ")}` : ""}`;
}
