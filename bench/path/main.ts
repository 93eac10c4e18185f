import { Command } from "commander";
import { createBatchPool } from "#bench/path/batch-pool.ts";
import { startBenchSystem } from "#bench/path/bench-system.ts";
import { conventionalRows, conventionalTable, ourRows, timeCopy } from "#bench/path/copy-baseline.ts";
import { startLoad, startPeer } from "#bench/path/fork.ts";
import { drain, endToEnd, fleet, rpc } from "#bench/path/measure.ts";
import { formatPage, type Samples, toJson } from "#bench/path/page.ts";
import { wholeNumber } from "#lib/options.ts";

/*
 * Each round measures every row once, forwards in odd rounds and backwards in even ones, so that a machine that gets
 * slower or faster during the run does so for all of them; medians are compared. The load, the system and the
 * baselines share the cores of this machine.
 */
const { rounds, batches, json } = new Command("npm run bench:path --")
  .description("What the way of a record costs, as ratios within one run.")
  .option("--rounds <n>", "number of rounds; the page shows medians", wholeNumber(1, 1_000), 5)
  .option("--batches <n>", "of 100 records, per round", wholeNumber(1_000, 100_000), 15_000)
  .option("--json", "the samples instead of the page")
  .parse()
  .opts<{ rounds: number; batches: number; json?: boolean }>();
const size = { batches, recordsPerBatch: 100 };
/** Enough for about a second each. */
const streamed = { rpc: "StreamLogs", batches: Math.ceil(size.batches / 2) } as const;
const unary = { rpc: "PushLogs", batches: Math.ceil(size.batches / 3) } as const;

const progress = (text: string) => process.stderr.write(`${text}\n`);

progress("making records, starting the system …");
using load = await startLoad(size.batches, size.recordsPerBatch);
using echo = await startPeer("http2-echo.ts");
using withoutAppend = await startPeer("grpc-without-append.ts");
await using bench = await startBenchSystem();
const { system, baseline } = bench;
await baseline.query(conventionalTable);
const pool = createBatchPool(size.batches, size.recordsPerBatch);
const ours = ourRows(pool);
const conventional = conventionalRows(pool, fleet.streams * fleet.devicesPerStream);

const samples: Samples = {
  endToEnd: [],
  cpuMicrosPerRecord: [],
  copy: [],
  conventionalCopy: [],
  drain: [],
  streamed: [],
  streamedWithoutAppend: [],
  streamedEcho: [],
  unary: [],
  unaryWithoutAppend: [],
  unaryEcho: [],
};
const server = system.servers[0]?.addresses.grpc ?? "";

const pathRows = [
  async () => {
    const { recordsPerSecond, cpuMicrosPerRecord } = await endToEnd(bench, load, size);
    samples.endToEnd.push(recordsPerSecond);
    samples.cpuMicrosPerRecord.push(cpuMicrosPerRecord);
  },
  async () => samples.copy.push(await timeCopy(baseline, "record_batches", ours)),
  async () => samples.conventionalCopy.push(await timeCopy(baseline, "conventional", conventional)),
  async () => samples.drain.push(await drain(bench, load, size)),
];
const rpcRows = [
  async () => samples.streamed.push(await rpc(load, server, { ...streamed, echo: false })),
  async () =>
    samples.streamedWithoutAppend.push(await rpc(load, withoutAppend.address, { ...streamed, echo: false })),
  async () => samples.streamedEcho.push(await rpc(load, echo.address, { ...streamed, echo: true })),
  async () => samples.unary.push(await rpc(load, server, { ...unary, echo: false })),
  async () =>
    samples.unaryWithoutAppend.push(await rpc(load, withoutAppend.address, { ...unary, echo: false })),
  async () => samples.unaryEcho.push(await rpc(load, echo.address, { ...unary, echo: true })),
];

// Every process reaches the speed that it has for the rest of its life; not counted.
for (let warmUp = 0; warmUp < 2; warmUp += 1) await endToEnd(bench, load, size);
await measure("path", pathRows);
await system.consumer.stop();
await measure("rpc", rpcRows);

process.stdout.write(json ? `${toJson(samples)}\n` : formatPage(samples, { rounds, ...size }));

async function measure(title: string, rows: readonly (() => Promise<unknown>)[]): Promise<void> {
  for (let round = 1; round <= rounds; round += 1) {
    progress(`${title}: round ${round} of ${rounds} …`);
    for (const row of round % 2 === 1 ? rows : rows.toReversed()) await row();
  }
}
