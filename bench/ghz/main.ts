import { randomBytes } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { callNames, readCall } from "#bench/ghz/call.ts";
import { findGhz, ghzAdvice } from "#bench/ghz/find-ghz.ts";
import { type CallMeasurement, measureCall } from "#bench/ghz/measure-call.ts";
import { ghzPage } from "#bench/ghz/page.ts";
import { startBenchSystem } from "#bench/path/bench-system.ts";
import { writeResults } from "#bench/results-folder.ts";

/*
 * `npm run bench:ghz [-- --calls unary-1,soak] [--seconds 10] [--json] [--no-save]`: ghz against a system of its own,
 * through Nginx and directly, with a verification after each run. Exit code 1 when one fails.
 */
const { values } = parseArgs({
  options: {
    calls: { type: "string", default: callNames.filter((name) => name !== "soak").join(",") },
    seconds: { type: "string" },
    json: { type: "boolean", default: false },
    "no-save": { type: "boolean", default: false },
  },
});

const ghz = findGhz();
if (ghz === undefined) {
  process.stderr.write(`${ghzAdvice}\n`);
  process.exit(1);
}
const calls = values.calls.split(",").map((given) => {
  const name = callNames.find((known) => known === given);
  if (name) return readCall(name);
  process.stderr.write(`there is no call ${given}: there are ${callNames.join(", ")}\n`);
  process.exit(1);
});

const folder = await mkdtemp(join(tmpdir(), "fleetlog-ghz-"));
try {
  const measurements = await measureAll(ghz);
  const command = `npm run bench:ghz -- ${process.argv.slice(2).join(" ")}`.replace(/ -- $/, "");
  const page = ghzPage(measurements, command);
  process.stdout.write(values.json ? `${JSON.stringify(measurements)}\n` : page);
  if (!values["no-save"]) await writeResults("ghz", page);
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
          ...(values.seconds !== undefined && { seconds: Number(values.seconds) }),
        }),
      );
    }
  }
  return measurements;
}
