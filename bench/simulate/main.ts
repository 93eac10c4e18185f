import { randomBytes } from "node:crypto";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { startBenchSystem } from "#bench/path/bench-system.ts";
import { runFleet } from "#bench/simulate/fleet.ts";
import { readOptions } from "#bench/simulate/options.ts";
import { LiveLines, progressLines } from "#bench/simulate/progress.ts";
import { createReport, formatSummary } from "#bench/simulate/report.ts";
import { reportPage } from "#bench/simulate/report-page.ts";
import { storedByGateway } from "#bench/stored/stored-by-gateway.ts";
import { storedInPostgres } from "#bench/stored/stored-in-postgres.ts";
import { verify } from "#bench/stored/verify.ts";
import { stateFolder } from "#dev/folders.ts";

// `npm run simulate`: a fleet against a running Fleetlog, and whether everything acknowledged is there afterwards.

const options = readOptions(process.argv.slice(2));
const run = randomBytes(3).toString("hex");
const prefix = `sim-${run}-`;
const interrupt = new AbortController();
for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => interrupt.abort());

try {
  process.exitCode = await simulate();
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}

async function simulate(): Promise<number> {
  await using stack = new AsyncDisposableStack();
  let { target } = options;
  let databaseUrl = process.env.DATABASE_URL;
  if (options.ownSystem) {
    process.stderr.write("starting a system in a temporary folder …\n");
    const { system } = stack.use(await startBenchSystem());
    [target, databaseUrl] = [system.nginx.grpc, system.databaseUrl];
  }
  const stored = stack.use(
    databaseUrl ? await storedInPostgres(databaseUrl, prefix) : storedByGateway(options.http, prefix),
  );
  await stored.count().catch((error: unknown) => {
    const reason = error instanceof Error ? error.message : String(error);
    throw new Error(
      `Cannot ask ${stored.from}: ${reason}. Is Fleetlog running? Start it with npm start, or give --own-system.`,
      { cause: error },
    );
  });

  const live = new LiveLines(process.stderr);
  const tally = await runFleet({
    ...options,
    target,
    prefix,
    signal: interrupt.signal,
    stored: () => stored.count(),
    onPoint: (point, tally) => live.show(progressLines(point, tally)),
  });
  process.stderr.write("looking for every acknowledged record …\n");
  const verification = await verify(stored, tally.sessions, {
    ...(tally.lastAckAt !== undefined && { lastAckAt: tally.lastAckAt }),
  });
  const report = createReport(run, { ...options, target }, tally, verification);
  const folder = options.report ?? join(stateFolder, "reports", `simulate-${run}`);
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, "report.json"), `${JSON.stringify(report, undefined, 2)}\n`);
  await writeFile(join(folder, "report.html"), reportPage(report));
  process.stdout.write(`${formatSummary(report)}\nreport: ${join(folder, "report.html")}\n`);
  const isFailed = !verification.ok || tally.acknowledgedRecords === 0;
  return isFailed ? 1 : 0;
}
