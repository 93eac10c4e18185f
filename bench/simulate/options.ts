import { Command, InvalidArgumentError } from "commander";
import { limits } from "#batch/limits.ts";
import { wholeNumber } from "#lib/options.ts";

export interface SimulateOptions {
  readonly devices: number;
  /** Records per second of the whole fleet. */
  readonly rate: number;
  /** From the boot of the last device. */
  readonly durationMs: number;
  /** The period in which all devices boot, so that a fleet does not connect all at once. */
  readonly rampMs: number;
  readonly batchRecords: number;
  readonly batchIntervalMs: number;
  readonly bursts: boolean;
  readonly bootEveryMs: number | undefined;
  readonly reconnectEveryMs: number | undefined;
  readonly clockSkewMs: number;
  /** Share of the devices behind a bad network, 0 to 1. */
  readonly badNetwork: number;
  readonly linkLatencyMs: number;
  readonly devicesPerConnection: number;
  readonly seed: number;
  readonly target: string;
  readonly http: string;
  readonly ownSystem: boolean;
  readonly report: string | undefined;
}

/** Parses the command line; prints the help or the error, and exits. */
export function readOptions(argv: readonly string[]): SimulateOptions {
  const parsed = new Command("npm run simulate --")
    .description(
      "A fleet of devices, simulated in one process on the client library. Batches fall due by the devices' own\n" +
        "clocks, whatever the system does (open loop), and latency counts from the moment at which they were due.\n" +
        "At the end every acknowledged record is looked for: exit code 0 says all are stored, once.",
    )
    .option("--devices <n>", "how many", wholeNumber(1, 20_000), 100)
    .option("--rate <n>", "records per second, of the whole fleet", wholeNumber(1, 10_000_000), 2_000)
    .option("--duration <time>", "such as 500ms, 30s, 10m, 2h", duration, 30_000)
    .option(
      "--ramp <time>",
      "within which all devices boot, before that (default: 250 devices a second)",
      duration,
    )
    .option("--batch-records <n>", "records in a batch, at most", wholeNumber(1, limits.recordsMax), 100)
    .option("--batch-interval <time>", "how long a device gathers records, at most", duration, 1_000)
    .option("--no-bursts", "no device talks more for a while")
    .option("--boots <time>", "how often a device's power is cut, on average", duration)
    .option("--reconnects <time>", "how long a connection lives, on average", duration)
    .option("--clock-skew <time>", "how far the devices' clocks are off, at most", duration, 2_000)
    .option(
      "--bad-network <percent>",
      "share of devices whose links are slow and break",
      wholeNumber(0, 100),
      0,
    )
    .option("--link-latency <time>", "added by a bad network in each direction", duration, 150)
    .option(
      "--devices-per-connection <n>",
      "1: as in the field; up to 100 for many devices (default: 1 up to 2,000 devices, else 50)",
      wholeNumber(1, 100),
    )
    .option("--seed <n>", "the same seed, the same fleet", wholeNumber(0, 2 ** 31), 1)
    .option("--target <host:port>", "gRPC address of Fleetlog", "127.0.0.1:50051")
    .option("--http <url>", "of Fleetlog, to verify through its gateway", "http://127.0.0.1:8080")
    .option("--own-system", "start a Fleetlog for this run, in a temporary folder", false)
    .option("--report <folder>", "where report.json and report.html go (default: .fleetlog/reports/<run>)")
    .addHelpText(
      "after",
      "\nWith DATABASE_URL set, the rows are counted in PostgreSQL instead of through the gateway.",
    )
    .parse(argv, { from: "user" })
    .opts<ParsedOptions>();
  return {
    devices: parsed.devices,
    rate: parsed.rate,
    durationMs: parsed.duration,
    rampMs: parsed.ramp ?? Math.max(500, parsed.devices * 4),
    batchRecords: parsed.batchRecords,
    batchIntervalMs: parsed.batchInterval,
    bursts: parsed.bursts,
    bootEveryMs: parsed.boots,
    reconnectEveryMs: parsed.reconnects,
    clockSkewMs: parsed.clockSkew,
    badNetwork: parsed.badNetwork / 100,
    linkLatencyMs: parsed.linkLatency,
    devicesPerConnection: parsed.devicesPerConnection ?? (parsed.devices > 2_000 ? 50 : 1),
    seed: parsed.seed,
    target: parsed.target,
    http: parsed.http,
    ownSystem: parsed.ownSystem,
    report: parsed.report,
  };
}

interface ParsedOptions {
  devices: number;
  rate: number;
  duration: number;
  ramp?: number;
  batchRecords: number;
  batchInterval: number;
  bursts: boolean;
  boots?: number;
  reconnects?: number;
  clockSkew: number;
  badNetwork: number;
  linkLatency: number;
  devicesPerConnection?: number;
  seed: number;
  target: string;
  http: string;
  ownSystem: boolean;
  report?: string;
}

/** ms of "250ms", "30s", "10m", "2h"; a bare number is seconds. */
function duration(text: string): number {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h)?$/.exec(text);
  const ms = Number(match?.[1]) * { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 }[match?.[2] ?? "s"]!;
  if (match && ms > 0 && ms <= 86_400_000) return ms;
  throw new InvalidArgumentError("expected a time such as 500ms, 30s, 10m, 2h, at most 24h");
}
