import { setTimeout as sleep } from "node:timers/promises";
import { type BenchSystem, type PerPart, parts } from "#bench/path/bench-system.ts";
import type { startLoad } from "#bench/path/fork.ts";
import type { LoadJob, LoadResult } from "#bench/path/load.ts";
import { emptyTables, storedRecords, untilStored } from "#bench/path/stored.ts";

type Load = Awaited<ReturnType<typeof startLoad>>;

/** A fleet of 96 devices behind eight streams, each with as many batches in flight as the server allows. */
export const fleet = { streams: 8, devicesPerStream: 12, inFlightPerStream: 32, echo: false } as const;

export interface Size {
  readonly batches: number;
  readonly recordsPerBatch: number;
}

/**
 * Records per second from the first byte sent to Nginx until all are committed, and each program's CPU
 * per record. With `batchesPerSecond` an open loop, with the latency of its acks.
 */
export async function endToEnd(
  bench: BenchSystem,
  load: Load,
  { batches, recordsPerBatch }: Size,
  pace: Pick<LoadJob, "batchesPerSecond"> = {},
): Promise<{ recordsPerSecond: number; cpuMicrosPerRecord: PerPart; latency: LoadResult["latency"] }> {
  await emptyTables(bench.client);
  const records = batches * recordsPerBatch;
  const target = (await storedRecords(bench.client)) + records;
  const cpuBefore = await bench.cpu();
  const startedAt = performance.now();
  const job = { ...fleet, ...pace, target: bench.system.nginx.grpc, rpc: "StreamLogs", batches } as const;
  const { latency } = await load.run(job);
  await untilStored(bench.client, target);
  const recordsPerSecond = records / ((performance.now() - startedAt) / 1_000);
  const cpuAfter = await bench.cpu();
  const perRecord = (part: keyof PerPart) => ((cpuAfter[part] - cpuBefore[part]) * 1e6) / records;
  const cpuMicrosPerRecord = Object.fromEntries(parts.map((part) => [part, perRecord(part)])) as PerPart;
  return { recordsPerSecond, cpuMicrosPerRecord, latency };
}

/**
 * Records per second of one consumer that finds a full stream. The clock runs from the first to the last commit
 * that is seen, so the start of the process does not count.
 */
export async function drain(
  bench: BenchSystem,
  load: Load,
  { batches, recordsPerBatch }: Size,
): Promise<number> {
  const { system, client } = bench;
  await emptyTables(client);
  await system.consumer.stop();
  const before = await storedRecords(client);
  await load.run({ ...fleet, target: system.nginx.grpc, rpc: "StreamLogs", batches });
  const started = system.consumer.start();
  let first = before;
  while (first === before) {
    await sleep(2);
    first = await storedRecords(client);
  }
  const startedAt = performance.now();
  const target = before + batches * recordsPerBatch;
  await untilStored(client, target);
  const seconds = (performance.now() - startedAt) / 1_000;
  await started;
  return (target - first) / seconds;
}

/** Batches per second to one server, without Nginx and with no consumer running, or to the bare server. */
export async function rpc(
  load: Load,
  target: string,
  job: Pick<LoadJob, "rpc" | "echo" | "batches">,
): Promise<number> {
  const { seconds } = await load.run({ ...fleet, ...job, target });
  return job.batches / seconds;
}
