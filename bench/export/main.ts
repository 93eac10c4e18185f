import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { type IncomingMessage, request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { Command } from "commander";
import { machineLine } from "#bench/machine.ts";
import { residentMiB } from "#bench/ratios/resident-memory.ts";
import { projectFolder } from "#dev/folders.ts";
import { startPostgres } from "#dev/postgres.ts";
import { wholeNumber } from "#lib/options.ts";
import { migrateToLatest } from "#postgres/migrate.ts";
import { fill } from "./fill.ts";

const { records } = new Command("npm run bench:export --")
  .description(
    "Exports a large table through a gateway of its own, whole and counted, and prints how much memory the gateway\n" +
      "takes while it does.",
  )
  .option("--records <n>", "rows of the table", wholeNumber(1, 1_000_000_000), 5_000_000)
  .parse()
  .opts<{ records: number }>();
const lineEnd = 10;
const sampledBytes = 1_000_000;

const folder = await mkdtemp(join(tmpdir(), "fleetlog-export-"));
const postgres = await startPostgres(folder, { shared_buffers: "128MB", fsync: "off", max_wal_size: "4GB" });
try {
  await migrateToLatest(postgres.url);
  await fill(postgres.url, records);
  const gateway = await startGateway(postgres.url);
  try {
    const lines = [
      machineLine(),
      "",
      `| export of ${records} records | records | MB | s | records/s | gateway at rest, MiB | highest, MiB |`,
      "|---|---:|---:|---:|---:|---:|---:|",
    ];
    lines.push(await measure(gateway, "format=ndjson", "identity"));
    lines.push(await measure(gateway, "format=csv&oldest_first=true", "gzip"));
    process.stdout.write(`${lines.join("\n")}\n`);
  } finally {
    gateway.child.kill("SIGTERM");
    await once(gateway.child, "exit");
  }
} finally {
  await postgres.stop();
  await rm(folder, { recursive: true, force: true });
}

async function startGateway(databaseUrl: string) {
  const child = spawn(process.execPath, [join(projectFolder, "gateway/main.ts")], {
    env: { DATABASE_URL: databaseUrl },
    stdio: ["ignore", "pipe", "inherit"],
  });
  for await (const line of createInterface({ input: child.stdout })) {
    const { http } = JSON.parse(line) as { http?: string };
    if (http === undefined) continue;
    child.stdout.resume();
    return { child, url: `http://${http}`, pid: child.pid as number };
  }
  throw new Error("the gateway ended before it was ready");
}

async function measure(gateway: { url: string; pid: number }, query: string, encoding: string) {
  const atRest = await residentMiB(gateway.pid);
  let highest = atRest;
  const startedAtMs = performance.now();
  const headers = { "accept-encoding": encoding };
  const asked = request(`${gateway.url}/v1/export?${query}`, { headers }).end();
  const [response] = (await once(asked, "response")) as [IncomingMessage];
  let bytes = 0;
  let lineEnds = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    if (Math.floor((bytes + chunk.length) / sampledBytes) > Math.floor(bytes / sampledBytes)) {
      highest = Math.max(highest, await residentMiB(gateway.pid));
    }
    bytes += chunk.length;
    if (encoding === "identity") for (const byte of chunk) lineEnds += byte === lineEnd ? 1 : 0;
  }
  const seconds = (performance.now() - startedAtMs) / 1000;
  const count = encoding === "gzip" ? "" : String(lineEnds - (query.includes("csv") ? 1 : 0));
  if (count !== "" && Number(count) !== records) throw new Error(`${count} records came of ${records}`);
  const cells = [`${query}, ${encoding}`, count, Math.round(bytes / 1e6), Math.round(seconds)];
  return `| ${[...cells, Math.round(records / seconds), Math.round(atRest), Math.round(highest)].join(" | ")} |`;
}
