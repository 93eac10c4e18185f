import { readFile } from "node:fs/promises";
import type { GhzCall } from "#bench/ghz/call.ts";
import { type GhzResult, runGhz } from "#bench/ghz/run-ghz.ts";
import { StoredWatch } from "#bench/ghz/stored-watch.ts";
import { type BenchSystem, type PerPart, parts } from "#bench/path/bench-system.ts";
import { storedInPostgres } from "#bench/stored/stored-in-postgres.ts";

/** One run of ghz, its cost, and whether every acknowledged record is stored. */
export interface CallMeasurement {
  readonly call: GhzCall;
  readonly target: "nginx" | "direct";
  readonly ghz: GhzResult;
  readonly recordsPerSecond: number;
  /** CPU seconds per million records. */
  readonly cpu: PerPart & { readonly ghz: number };
  readonly acknowledgedRecords: number;
  readonly storedRows: number;
  readonly doubledRows: number;
  readonly lastAckToLastRowMs: number;
  /** Undefined when all is as it should be. */
  readonly fault: string | undefined;
}

const stallMs = 15_000;

export async function measureCall(
  bench: BenchSystem,
  ghz: string,
  call: GhzCall,
  target: "nginx" | "direct",
  run: { readonly prefix: string; readonly folder: string; readonly seconds?: number },
): Promise<CallMeasurement> {
  const { system } = bench;
  const host = target === "nginx" ? system.nginx.grpc : (system.servers[0]?.addresses.grpc ?? "");
  await using stored = await storedInPostgres(system.databaseUrl, run.prefix);
  const watch = new StoredWatch(stored);
  const over = new AbortController();
  const watching = watch.watch(over.signal);
  const [cpuBefore, ghzBefore] = [await bench.cpu(), await reapedCpuSeconds()];
  let result: GhzResult;
  try {
    result = await runGhz(ghz, call, { ...run, host });
  } finally {
    over.abort();
    await watching;
  }
  const ghzCpu = (await reapedCpuSeconds()) - ghzBefore;
  const batchRecords = call.recordsPerBatch * call.batchesPerCall;
  const acknowledged = result.okCalls * batchRecords;
  await watch.until(acknowledged, stallMs);
  const cpuAfter = await bench.cpu();
  const millions = Math.max(acknowledged, 1) / 1e6;

  const sessions = await stored.sessions([]);
  const storedRows = sessions.reduce((sum, { rows }) => sum + rows, 0);
  const doubledRows = sessions.reduce((sum, session) => sum + session.doubledRows, 0);
  return {
    call,
    target,
    ghz: result,
    recordsPerSecond: result.callsPerSecond * batchRecords * (result.okCalls / Math.max(1, sumOf(result))),
    cpu: {
      ...(Object.fromEntries(
        parts.map((part) => [part, (cpuAfter[part] - cpuBefore[part]) / millions]),
      ) as PerPart),
      ghz: ghzCpu / millions,
    },
    acknowledgedRecords: acknowledged,
    storedRows,
    doubledRows,
    lastAckToLastRowMs: Math.max(0, watch.changedAtMs - result.lastAckAtMs),
    fault: findFault(acknowledged, result.failedCalls * batchRecords, storedRows, doubledRows),
  };
}

/** A call that failed may have been stored all the same, or partly. */
export function findFault(
  acknowledged: number,
  uncertain: number,
  rows: number,
  doubled: number,
): string | undefined {
  const faults = [
    acknowledged === 0 && "nothing was acknowledged",
    rows - doubled < acknowledged && `${acknowledged - rows + doubled} acknowledged records are not stored`,
    rows - doubled > acknowledged + uncertain && `${rows - doubled - acknowledged} rows more than were sent`,
    doubled > 0 && `${doubled} rows are doubled`,
  ].filter((fault) => fault !== false);
  return faults.length === 0 ? undefined : faults.join("; ");
}

function sumOf({ okCalls, failedCalls }: GhzResult): number {
  return okCalls + failedCalls;
}

/** CPU seconds of the children of this process that have ended; see cpu.ts. */
async function reapedCpuSeconds(): Promise<number> {
  const stat = await readFile("/proc/self/stat", "utf8");
  const fields = stat
    .slice(stat.lastIndexOf(")") + 2)
    .split(" ")
    .map(Number);
  return ((fields[13] ?? 0) + (fields[14] ?? 0)) / 100;
}
