import { spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { Command } from "commander";
import { callNames, readCall } from "#bench/ghz/call.ts";
import { type CallMeasurement, measureCall } from "#bench/ghz/measure-call.ts";
import { ghzPage } from "#bench/ghz/page.ts";
import { startBenchSystem } from "#bench/path/bench-system.ts";
import { writeResults } from "#bench/results-folder.ts";
import { someOf, wholeNumber } from "#lib/options.ts";

const ghzAdvice = `ghz, the load generator, is not on the PATH. With Go ≥ 1.21 on this machine:

    go install github.com/bojand/ghz/cmd/ghz@v0.121.0

puts it into ~/go/bin, which is searched too. Without Go: https://github.com/bojand/ghz/releases
(npm's package "ghz" is something else.)`;

const options = new Command("npm run bench:ghz --")
  .description(
    "ghz against a system of its own, through Nginx and directly, with a verification after each run.\n" +
      "Exit code 1 when one fails.",
  )
  .option(
    "--calls <names>",
    `some of ${callNames.join(", ")}`,
    someOf(callNames),
    callNames.filter((name) => name !== "soak"),
  )
  .option("--seconds <n>", "of each call, instead of what its file says", wholeNumber(1, 3_600))
  .option("--json", "what was measured instead of the page")
  .option("--no-save", "keeps no page in bench/results")
  .parse()
  .opts<{ calls: typeof callNames; seconds?: number; json?: boolean; save: boolean }>();

const ghz = findGhz();
if (ghz === undefined) {
  process.stderr.write(`${ghzAdvice}\n`);
  process.exit(1);
}
const calls = options.calls.map(readCall);

const folder = await mkdtemp(join(tmpdir(), "fleetlog-ghz-"));
try {
  const measurements = await measureAll(ghz);
  const command = `npm run bench:ghz -- ${process.argv.slice(2).join(" ")}`.replace(/ -- $/, "");
  const page = ghzPage(measurements, command);
  process.stdout.write(options.json ? `${JSON.stringify(measurements)}\n` : page);
  if (options.save) await writeResults("ghz", page);
  if (measurements.some(({ fault }) => fault !== undefined)) process.exitCode = 1;
} finally {
  await rm(folder, { recursive: true, force: true });
}

async function measureAll(ghz: string): Promise<readonly CallMeasurement[]> {
  process.stderr.write("starting the system …\n");
  await using bench = await startBenchSystem();
  const measurements: CallMeasurement[] = [];
  for (const call of calls) {
    for (const target of call.targets) {
      process.stderr.write(`${call.name} ${target} …\n`);
      const prefix = `ghz-${randomBytes(3).toString("hex")}-`;
      measurements.push(
        await measureCall(bench, ghz, call, target, {
          prefix,
          folder,
          ...(options.seconds !== undefined && { seconds: options.seconds }),
        }),
      );
    }
  }
  return measurements;
}

/** The ghz command from the PATH or from where `go install` puts it; undefined when it is in neither. */
function findGhz(): string | undefined {
  const candidates = ["ghz", ...(process.env.GOPATH ? [join(process.env.GOPATH, "bin/ghz")] : [])];
  return [...candidates, join(homedir(), "go/bin/ghz")].find(
    (command) => spawnSync(command, ["--version"], { stdio: "ignore" }).status === 0,
  );
}
