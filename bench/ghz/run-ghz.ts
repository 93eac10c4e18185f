import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type GhzCall, toConfig } from "#bench/ghz/call.ts";

/** The part of ghz's report that is used. */
export interface GhzResult {
  readonly callsPerSecond: number;
  readonly okCalls: number;
  readonly failedCalls: number;
  /** ms. */
  readonly p50: number;
  readonly p95: number;
  readonly p99: number;
  /** Calls by gRPC status. */
  readonly statuses: Readonly<Record<string, number>>;
  /** Calls by message of their error. */
  readonly errors: Readonly<Record<string, number>>;
  /** Date.now() of the last successful response. */
  readonly lastAckAtMs: number;
}

interface GhzReport {
  readonly count: number;
  readonly rps: number;
  readonly statusCodeDistribution: Readonly<Record<string, number>> | null;
  readonly errorDistribution: Readonly<Record<string, number>> | null;
  readonly latencyDistribution: readonly { percentage: number; latency: number }[] | null;
  readonly details: readonly { timestamp: string; latency: number; error: string; status: string }[] | null;
}

/** Runs ghz once, with files in `folder`; throws when it did not make any call. */
export async function runGhz(
  ghz: string,
  call: GhzCall,
  run: { host: string; prefix: string; folder: string; seconds?: number },
): Promise<GhzResult> {
  const output = join(run.folder, `${run.prefix}${call.name}.json`);
  const dataFile = join(run.folder, "data.json");
  const configFile = join(run.folder, "config.json");
  const { config, data } = toConfig(call, { ...run, output });
  await writeFile(dataFile, data);
  await writeFile(configFile, JSON.stringify({ ...config, "data-file": dataFile }));
  const child = spawn(ghz, ["--config", configFile], { stdio: ["ignore", "ignore", "pipe"] });
  let words = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => (words = (words + text).slice(-2_000)));
  const [code] = (await once(child, "close")) as [number | null];
  const report = await readFile(output, "utf8").catch(() => undefined);
  if (code !== 0 || report === undefined) throw new Error(`ghz ${call.name} failed (${code}): ${words}`);
  return toResult(JSON.parse(report) as GhzReport);
}

function toResult(report: GhzReport): GhzResult {
  const statuses = report.statusCodeDistribution ?? {};
  const okCalls = statuses.OK ?? 0;
  const milliseconds = (percentage: number) =>
    (report.latencyDistribution?.find((entry) => entry.percentage === percentage)?.latency ?? 0) / 1e6;
  let lastAckAtMs = 0;
  for (const { timestamp, latency, status } of report.details ?? []) {
    if (status === "OK") lastAckAtMs = Math.max(lastAckAtMs, Date.parse(timestamp) + latency / 1e6);
  }
  return {
    callsPerSecond: report.rps,
    okCalls,
    failedCalls: report.count - okCalls,
    p50: milliseconds(50),
    p95: milliseconds(95),
    p99: milliseconds(99),
    statuses,
    errors: report.errorDistribution ?? {},
    lastAckAtMs,
  };
}
