import { randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import type { Client } from "@grpc/grpc-js";
import { bootRecords, type Firmware, type RecordPool } from "#bench/simulate/firmware.ts";
import type { SessionTally, Tally } from "#bench/simulate/tally.ts";
import { DeviceStream } from "#client/stream/device-stream.ts";
import { DeviceStreamError } from "#client/stream/device-stream-error.ts";

export interface DeviceOptions {
  readonly deviceId: string;
  readonly firmware: Firmware;
  readonly pool: RecordPool;
  readonly random: () => number;
  /** The address, unless it shares a connection. */
  readonly address: string;
  readonly channel: Client | undefined;
  readonly recordsPerBatch: number;
  /** Between batches, on average. */
  readonly intervalMs: number;
  /** Added to the time of every record. */
  readonly clockSkewMs: number;
  /** Now and then a device talks five times as much for a while. */
  readonly bursts: boolean;
  /** Between two cuts of its power, on average; undefined: none. */
  readonly bootEveryMs: number | undefined;
  readonly tally: Tally;
}

/** A due batch: its time, and the index of its records in the pool. */
interface Due {
  readonly at: number;
  readonly from: number;
  readonly boot: number | undefined;
}

/** The capacity of a device's flash. */
const bufferedBatchesMax = 1_000;
/** The probability that a batch starts a burst, the batches in one, and how much closer they follow. */
const burst = { chance: 1 / 500, batches: 25, factor: 5 };

/**
 * One device: batches fall due by its own clock, whatever becomes of those before (open loop), and each counts from the
 * moment at which it was due. What cannot be sent waits in the device; beyond {@link bufferedBatchesMax} the oldest
 * is lost, and counted.
 */
export class SimulatedDevice {
  readonly #options: DeviceOptions;
  #session: SessionTally;
  #stream: DeviceStream<number>;
  #failed = false;
  #waiting: Due[] = [];
  #pumping = false;
  #timer: NodeJS.Timeout | undefined;
  #nextAt = 0;
  #bootAt = Number.POSITIVE_INFINITY;
  #boots = 1;
  #burstLeft = 0;
  #from: number;

  constructor(options: DeviceOptions) {
    this.#options = options;
    this.#from = Math.floor(options.random() * 1_000);
    [this.#session, this.#stream] = this.#open();
  }

  /** The first batch, that of its boot, is due at `at`, a time of performance.now(). */
  start(at: number): void {
    this.#nextAt = at + this.#interval();
    this.#planBoot(at);
    this.#timer = setTimeout(
      () => {
        this.#enqueue({ at, from: 0, boot: this.#boots });
        this.#tick();
      },
      Math.max(0, at - performance.now()),
    );
  }

  /** Stops making batches; resolves when all are acknowledged, or the deadline is over. */
  async stop(deadlineMs: number): Promise<void> {
    clearTimeout(this.#timer);
    const deadline = performance.now() + deadlineMs;
    const isBusy = () => this.#waiting.length > 0 || this.#pumping || this.#stream.unacknowledged.length > 0;
    while (!this.#failed && isBusy() && performance.now() < deadline) await sleep(20);
    if (!this.#failed) this.#cutPower("the run was over");
  }

  #tick(): void {
    const now = performance.now();
    const { tally } = this.#options;
    for (; this.#nextAt <= now; this.#nextAt += this.#interval()) {
      tally.lateness.record(now - this.#nextAt);
      if (this.#nextAt >= this.#bootAt) this.#reboot();
      else this.#enqueue({ at: this.#nextAt, from: this.#from, boot: undefined });
      this.#from += this.#options.recordsPerBatch;
    }
    this.#timer = setTimeout(() => this.#tick(), Math.max(0, this.#nextAt - performance.now()));
  }

  #interval(): number {
    const { random, intervalMs, bursts } = this.#options;
    if (bursts && this.#burstLeft === 0 && random() < burst.chance) this.#burstLeft = burst.batches;
    const isBurst = this.#burstLeft > 0;
    if (isBurst) this.#burstLeft -= 1;
    return (intervalMs * (0.8 + random() * 0.4)) / (isBurst ? burst.factor : 1);
  }

  #enqueue(due: Due): void {
    if (this.#failed) return;
    this.#options.tally.dueBatches += 1;
    this.#waiting.push(due);
    if (this.#waiting.length > bufferedBatchesMax) {
      this.#waiting.shift();
      this.#drop(1, "its buffer was full");
    }
    if (!this.#pumping) void this.#pump();
  }

  /** Sends the waiting batches one by one, as fast as the stream accepts them. */
  async #pump(): Promise<void> {
    this.#pumping = true;
    const { tally, pool, firmware, recordsPerBatch, intervalMs, clockSkewMs } = this.#options;
    const stream = this.#stream;
    try {
      for (let due = this.#waiting.shift(); due; due = this.#waiting.shift()) {
        const timeMs = performance.timeOrigin + due.at + clockSkewMs;
        const records =
          due.boot === undefined
            ? pool.records(due.from, recordsPerBatch, timeMs, intervalMs / recordsPerBatch)
            : bootRecords(firmware, due.boot, timeMs);
        tally.sentBatches += 1;
        tally.sentRecords += records.length;
        await stream.send(records, due.at);
        if (stream !== this.#stream) return; // rebooted meanwhile
      }
    } catch (error) {
      // Otherwise it failed, which onFailed reports, or the power was cut.
      if (!(error instanceof DeviceStreamError)) throw error;
    } finally {
      if (stream === this.#stream) this.#pumping = false;
    }
  }

  #open(): [SessionTally, DeviceStream<number>] {
    const { deviceId, address, channel, tally } = this.#options;
    const sessionId = randomBytes(8).toString("hex");
    const session: SessionTally = { deviceId, sessionId, acknowledgedRecords: 0, uncertain: [] };
    tally.sessions.push(session);
    const stream = new DeviceStream<number>({
      deviceId,
      sessionId,
      address,
      channel,
      onAcknowledged: ({ note }, { accepted, rejected, rejections }) => {
        session.acknowledgedRecords += accepted;
        tally.acknowledge(performance.now() - note, accepted, rejected);
        for (const { reason } of rejections) tally.error("record refused", reason);
      },
      onRefused: (_batch, error) => {
        tally.refusedBatches += 1;
        tally.error("batch refused", error.message);
      },
      onDelayed: (_batch, error) => tally.error("asked to wait", error.message),
      onReconnect: ({ reason }) => {
        tally.reconnects += 1;
        tally.error("connection lost", reason);
      },
      onFailed: (error) => {
        this.#failed = true;
        clearTimeout(this.#timer);
        tally.error("stream failed", error.message);
        this.#cutPower("its stream failed");
      },
    });
    return [session, stream];
  }

  #reboot(): void {
    this.#cutPower("its power was cut");
    this.#boots += 1;
    this.#options.tally.boots += 1;
    [this.#session, this.#stream] = this.#open();
    this.#planBoot(this.#nextAt);
    this.#enqueue({ at: this.#nextAt, from: 0, boot: this.#boots });
  }

  /** Unacknowledged batches stay so, and unsent ones are lost. */
  #cutPower(why: string): void {
    const { tally } = this.#options;
    const sequences = this.#stream.unacknowledged.map(({ sequence }) => sequence);
    this.#session.uncertain.push(...sequences);
    if (sequences.length > 0) tally.error("without an ack", why, sequences.length);
    tally.uncertainBatches += sequences.length;
    this.#stream.close();
    this.#drop(this.#waiting.length, why);
    this.#waiting = [];
    this.#pumping = false;
  }

  #planBoot(from: number): void {
    const { bootEveryMs, random } = this.#options;
    if (bootEveryMs !== undefined) this.#bootAt = from - Math.log(1 - random()) * bootEveryMs;
  }

  #drop(count: number, why: string): void {
    if (count === 0) return;
    this.#options.tally.droppedBatches += count;
    this.#options.tally.error("lost in the device", why, count);
  }
}
