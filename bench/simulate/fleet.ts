import { setTimeout as sleep } from "node:timers/promises";
import type { Client } from "@grpc/grpc-js";
import { seededRandom } from "#batch/testing/random.ts";
import { SimulatedDevice } from "#bench/simulate/device.ts";
import { chooseFirmware, firmwares, RecordPool } from "#bench/simulate/firmware.ts";
import { startLinks } from "#bench/simulate/links.ts";
import type { SimulateOptions } from "#bench/simulate/options.ts";
import { type Point, Tally } from "#bench/simulate/tally.ts";
import { openChannel } from "#client/transports/grpc-channel.ts";

export type FleetOptions = Omit<SimulateOptions, "http" | "ownSystem" | "report"> & {
  /** Begins the names of its devices. */
  readonly prefix: string;
  /** Ends the run before its time. */
  readonly signal?: AbortSignal;
  /** How many of its records are stored, for the backlog. */
  readonly stored?: () => Promise<number>;
  /** Called once a second. */
  readonly onPoint?: (point: Point, tally: Tally) => void;
};

/** How long batches due at the end may take to be acknowledged. */
const drainMsMax = 30_000;

/** Runs a fleet from its first boot to its last acknowledgement. */
export async function runFleet(options: FleetOptions): Promise<Tally> {
  const tally = new Tally();
  await using stack = new AsyncDisposableStack();
  const devices = await createDevices(options, tally, stack);
  const startedAt = performance.now();
  const { durationMs, rampMs } = options;
  for (const [index, device] of devices.entries()) {
    device.start(startedAt + (index * rampMs) / devices.length);
  }

  const seconds = () => (performance.now() - startedAt) / 1_000;
  const mark = async () => {
    const stored = await options.stored?.().catch(() => undefined); // unknown is not the end of the run
    const notStored = stored === undefined ? undefined : Math.max(0, tally.acknowledgedRecords - stored);
    options.onPoint?.(tally.mark(seconds(), notStored), tally);
  };
  let marking = Promise.resolve();
  let isMarking = false;
  const marker = setInterval(() => {
    if (isMarking) return;
    isMarking = true;
    marking = mark().finally(() => (isMarking = false));
  }, 1_000);
  try {
    await sleep(rampMs + durationMs, undefined, options.signal && { signal: options.signal }).catch(
      () => {}, // interrupted: batches in flight are still awaited
    );
    await Promise.all(devices.map((device) => device.stop(drainMsMax)));
  } finally {
    clearInterval(marker);
    await marking;
  }
  await mark();
  return tally;
}

async function createDevices(
  options: FleetOptions,
  tally: Tally,
  stack: AsyncDisposableStack,
): Promise<readonly SimulatedDevice[]> {
  const random = seededRandom(options.seed);
  const pools = new Map(
    firmwares.map((firmware, at) => [firmware, new RecordPool(firmware, options.seed + at)]),
  );
  const { reconnectEveryMs: lifetimeMs } = options;
  const toAddress = async (latencyMs: number, lifetimeMs: number | undefined) => {
    if (latencyMs === 0 && lifetimeMs === undefined) return options.target;
    return stack.use(await startLinks(options.target, { latencyMs, lifetimeMs, random })).address;
  };
  const good = await toAddress(0, lifetimeMs);
  const bad = await toAddress(options.linkLatencyMs, Math.min(lifetimeMs ?? badLifetimeMs, badLifetimeMs));

  const all = Array.from({ length: options.devices }, (_, index) => chooseFirmware(index));
  const average = all.reduce((sum, { talkativeness }) => sum + talkativeness, 0) / all.length;
  const channels: Client[] = [];
  stack.defer(() => channels.forEach((channel) => channel.close()));
  return all.map((firmware, index) => {
    const isBad = random() < options.badNetwork;
    const perSecond = (options.rate / options.devices) * (firmware.talkativeness / average);
    const wanted = Math.round((perSecond * options.batchIntervalMs) / 1_000);
    const recordsPerBatch = Math.max(1, Math.min(options.batchRecords, wanted));
    if (options.devicesPerConnection > 1 && index % options.devicesPerConnection === 0) {
      channels.push(openChannel(good));
    }
    return new SimulatedDevice({
      deviceId: `${options.prefix}${String(index).padStart(5, "0")}`,
      firmware,
      pool: pools.get(firmware) as RecordPool,
      random,
      address: isBad ? bad : good,
      channel: isBad ? undefined : channels.at(-1),
      recordsPerBatch,
      intervalMs: (recordsPerBatch / perSecond) * 1_000,
      clockSkewMs: (random() * 2 - 1) * options.clockSkewMs,
      bursts: options.bursts,
      bootEveryMs: options.bootEveryMs,
      tally,
    });
  });
}

/** The average lifetime of a link in a bad network. */
const badLifetimeMs = 15_000;
