import { setTimeout as sleep } from "node:timers/promises";
import { Random } from "#batch/testing/random.ts";
import { withDeadline } from "#lib/deadline.ts";
import type { ProgramCommand } from "#test/support/device-program.ts";
import { waitFor } from "#test/support/wait-for.ts";
import {
  type Device,
  type DeviceDependencies,
  type FleetTally,
  postingDevice,
  pushingDevice,
  streamingDevice,
} from "./devices.ts";
import type { Journal } from "./journal.ts";
import { programDevice } from "./program-device.ts";
import type { SecretRecords } from "./secret-record.ts";

export interface FleetOptions {
  readonly prefix: string;
  readonly seed: number;
  readonly journal: Journal;
  readonly secrets: SecretRecords;
  /** host:port for gRPC, and the base URL for HTTP. */
  readonly grpc: string;
  readonly http: string;
  readonly clock?: ((random: Random) => bigint) | undefined;
  /** Between two batches of one device; 10 to 60 ms by default. */
  readonly pauseMs?: (random: Random) => number;
  /** "committed": there are only the devices with streams, and they keep every batch until it is in PostgreSQL. */
  readonly keepUntil?: "accepted" | "committed";
  /**
   * The device program of another language: all six devices are processes of it. Every other one has a spool, and is killed
   * once and started again.
   */
  readonly program?: ProgramCommand | undefined;
}

/** Six devices with streams, one with unary calls, one with HTTP/1.1, each sending small batches until it is stopped. Every other one encodes its batches anew whenever it sends them. */
export class Fleet {
  readonly tally: FleetTally = { broken: 0, later: new Map() };
  readonly #options: FleetOptions;
  readonly #devices: Device[] = [];
  readonly #loops: Promise<void>[] = [];
  readonly #ids: string[] = [];
  readonly #abort = new AbortController();
  #stopping = false;

  constructor(options: FleetOptions) {
    this.#options = options;
    const { grpc, http, keepUntil, program } = options;
    for (let number = 1; number <= 6; number += 1) {
      this.#add((dependencies) => {
        if (!program) return streamingDevice(dependencies, grpc);
        const killAfter = number % 2 === 0 ? 10 + dependencies.random.below(30) : undefined;
        return programDevice(dependencies, { program, grpc, http, killAfter });
      });
    }
    if (program || keepUntil === "committed") return;
    this.#add((dependencies) => pushingDevice(dependencies, grpc));
    this.#add((dependencies) => postingDevice(dependencies, () => http));
  }

  /** Connections that its devices keep open, without the one over HTTP/1.1. */
  get connections(): number {
    return Math.min(this.#devices.length, 7);
  }

  /** Resolves when every device has this many acknowledgements of batches sent from now on. */
  async everyDeviceIsAcknowledged(count: number, deadlineMs = 90_000): Promise<void> {
    const { journal } = this.#options;
    const from = performance.now();
    await waitFor(
      "every device to be acknowledged",
      () => {
        const counts = new Map(this.#ids.map((id) => [id, 0]));
        for (let at = journal.batches.length - 1; at >= 0; at -= 1) {
          const { deviceId, sentAtMs, outcome } = journal.batches[at]!;
          if (sentAtMs < from) break;
          if (outcome === "acknowledged") counts.set(deviceId, (counts.get(deviceId) ?? 0) + 1);
        }
        return [...counts.values()].every((seen) => seen >= count);
      },
      deadlineMs,
    );
  }

  /** Stops sending and waits for the last outcomes. */
  async stop(deadlineMs = 90_000): Promise<void> {
    this.#stopping = true;
    const flushed = Promise.all(this.#loops).then(() =>
      Promise.all(this.#devices.map((device) => device.flush())),
    );
    try {
      await withDeadline("the last acks", deadlineMs, flushed);
    } finally {
      this.abandon();
    }
  }

  /** Ends immediately; open batches keep no outcome. */
  abandon(): void {
    this.#stopping = true;
    this.#abort.abort(new Error("the fleet was abandoned"));
    for (const device of this.#devices) device.close();
  }

  #add(make: (dependencies: DeviceDependencies) => Device): void {
    const { prefix, seed, journal, secrets, clock, pauseMs, keepUntil } = this.#options;
    const number = this.#devices.length + 1;
    const deviceId = `${prefix}device-${number}`;
    const random = new Random(seed + number);
    const device = make({
      deviceId,
      journal,
      secrets,
      random,
      tally: this.tally,
      clock: () => clock?.(random) ?? BigInt(Date.now()) * 1000n,
      signal: this.#abort.signal,
      reEncodes: number % 2 === 0,
      keepUntil,
    });
    this.#devices.push(device);
    this.#ids.push(deviceId);
    const loop = this.#run(device, () => pauseMs?.(random) ?? 10 + random.below(50));
    loop.catch(() => {}); // `stop` gives the error to its caller
    this.#loops.push(loop);
  }

  async #run(device: Device, pauseMs: () => number): Promise<void> {
    while (!this.#stopping) {
      await device.send();
      await sleep(pauseMs());
    }
  }
}
