import { cpSync, mkdirSync, symlinkSync } from "node:fs";
import { chmod, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { Command } from "commander";
import { execa } from "execa";
import { binariesFolder, projectFolder } from "#dev/folders.ts";
import { someOf } from "#lib/options.ts";
import type { PageRow } from "../faults/page.ts";
import { applyMutant } from "./apply.ts";
import type { Mutant } from "./mutant.ts";
import { mutants } from "./mutants.ts";

const names = mutants.map(({ name }) => name);
const { only, quick } = new Command("npm run mutants --, npm run faults:mutants --")
  .description(
    "Breaks a copy of the project in one way after the other, and lets a test or the fault matrix look at it.\n" +
      "Exit code 0: the tests pass without any mutant, and every mutant was caught.",
  )
  .option("--only <names>", `some of ${names.join(", ")}`, someOf(names), names)
  .option("--quick", "only those that a test has to catch, as npm run mutants does", false)
  .parse()
  .opts<{ only: readonly string[]; quick: boolean }>();
const chosen = mutants.filter(({ name, caughtBy }) => only.includes(name) && (!quick || "test" in caughtBy));
const tests = new Set(chosen.flatMap(({ caughtBy }) => ("test" in caughtBy ? caughtBy.test : [])));

const project = await mkdtemp(join(tmpdir(), "fleetlog-mutants-"));
await chmod(project, 0o755); // PostgreSQL may run as another user
let missed = 0;
console.log("| mutant | looked at by | caught | what was seen |\n|---|---|---|---|");
try {
  copyProject();
  if (tests.size > 0) await assertPass([...tests]);
  for (const mutant of chosen) {
    using _mutated = applyMutant(project, mutant);
    const seen = await report(mutant);
    if (seen === "") missed += 1;
    const by = "row" in mutant.caughtBy ? mutant.caughtBy.row : mutant.caughtBy.test;
    console.log(
      `| ${mutant.title} \`${mutant.name}\` | ${by} | ${seen === "" ? "NOT CAUGHT" : "caught"} | ${seen} |`,
    );
  }
} finally {
  await rm(project, { recursive: true, force: true, maxRetries: 20, retryDelay: 250 });
}
console.log(`\n${chosen.length - missed} of ${chosen.length} mutants caught.`);
process.exitCode = missed === 0 ? 0 : 1;

/** A test that fails in any case catches nothing. */
async function assertPass(tests: readonly string[]): Promise<void> {
  const { exitCode, all } = await node("test/run.ts", ...tests);
  if (exitCode !== 0) throw new Error(`without any mutant, tests fail:\n${all.slice(-4_000)}`);
}

/** What was found wrong with the mutated copy, in a few words; "" when nothing was. */
async function report({ caughtBy }: Mutant): Promise<string> {
  if ("test" in caughtBy) {
    // A mutant may keep a program or a timer: what is still open after the tests is no answer.
    const { exitCode, all } = await node("test/run.ts", "--test-force-exit", caughtBy.test);
    const [failed, cancelled] = ["fail", "cancelled"].map((kind) =>
      Number(new RegExp(`^ℹ ${kind} (\\d+)$`, "m").exec(all)?.[1]),
    );
    if (Number.isNaN(failed)) throw new Error(`${caughtBy.test} did not run:\n${all.slice(-2_000)}`);
    return exitCode === 0 ? "" : `${failed} tests fail, ${cancelled} do not end`;
  }
  const { row, runs = 1 } = caughtBy;
  const { stdout, all } = await node(
    "test/faults/main.ts",
    `--rows=${row}`,
    `--runs=${runs}`,
    "--pace=quick",
    "--json",
  );
  const start = stdout.indexOf("[");
  if (start < 0) throw new Error(`the row ${row} did not run:\n${all.slice(-2_000)}`);
  const [seen] = JSON.parse(stdout.slice(start)) as [PageRow];
  const counts = (["lost", "doubled", "phantom", "mutated", "failed"] as const)
    .filter((name) => seen[name] > 0)
    .map((name) => `${name} ${seen[name]}`);
  const words = counts.length > 0 ? counts : seen.faults.slice(0, 1);
  return words.join(", ").replaceAll("|", "/").slice(0, 160);
}

async function node(script: string, ...args: readonly string[]) {
  const done = await execa(process.execPath, [script, ...args], {
    cwd: project,
    reject: false,
    all: true,
    timeout: 600_000,
  });
  return { exitCode: done.exitCode, stdout: done.stdout, all: done.all };
}

/** All but what is installed or made, which the copy shares. */
function copyProject(): void {
  const shared = new Set(["node_modules", ".git", ".fleetlog"]);
  cpSync(projectFolder, project, {
    recursive: true,
    filter: (source) => !shared.has(relative(projectFolder, source)),
  });
  symlinkSync(join(projectFolder, "node_modules"), join(project, "node_modules"));
  mkdirSync(join(project, ".fleetlog"));
  symlinkSync(binariesFolder, join(project, ".fleetlog/binaries"));
}
