import { readdirSync } from "node:fs";
import { join } from "node:path";
import type { ChannelCredentials, Client } from "@grpc/grpc-js";
import { limits } from "#batch/limits.ts";
import { lockFolder } from "#client/spool/spool.ts";
import type { DeviceStreamEvents } from "#client/stream/device-stream-options.ts";
import { openChannel } from "#client/transports/grpc-channel.ts";
import type { FileLock } from "#lib/file-lock.ts";
import { DeviceSender } from "./device-sender.ts";

export interface DeviceSendersOptions {
  readonly address: string;
  readonly credentials?: ChannelCredentials | undefined;
  /** Each device keeps its batches in a folder of its own below this one. */
  readonly spool?: string | undefined;
  readonly keepUntil: "accepted" | "committed";
  readonly devicesMax: number;
  /** Of all devices together. */
  readonly pendingBytesMax: number;
  readonly events: DeviceStreamEvents<undefined>;
  readonly onSpoolProblem: (problem: string) => void;
  /** Records that the spool did not take. */
  readonly onLost: (recordCount: number, reason: string) => void;
}

/** Records of further hostnames than `devicesMax` are sent as this device. */
export const overflowDevice = "syslog";

/** Before the name of a device's folder: ".." alone would be another folder. */
const folderPrefix = "device-";

/** Of the folders that an earlier process left in the spool. */
const recoveredAtOnce = 16;

const searchPauseMs = 250;

/** Nginx allows 128 streams on one connection. */
const streamsPerChannel = 100;

/** One sender for each device, opened at its first record. */
export class DeviceSenders {
  readonly #options: DeviceSendersOptions;
  /** The one used last is the last. */
  readonly #senders = new Map<string, DeviceSender>();
  /** Devices with a folder in the spool that no sender uses. */
  readonly #unopened = new Set<string>();
  #lock: FileLock | undefined;
  #searchAtMs = 0;
  #isClosed = false;
  readonly #channels: { readonly client: Client; streams: number }[] = [];

  constructor(options: DeviceSendersOptions) {
    this.#options = options;
  }

  /**
   * Sends what an earlier process left in the spool: opens a few of its folders at once, and closes an empty one before
   * the next. Throws SpoolError when the spool cannot be used.
   */
  recover(): void {
    const { spool, onSpoolProblem } = this.#options;
    if (spool === undefined) return;
    this.#lock = lockFolder(spool);
    for (const name of readdirSync(spool))
      if (name.startsWith(folderPrefix)) this.#unopened.add(name.slice(folderPrefix.length));
    const count = this.#unopened.size;
    if (count > recoveredAtOnce)
      onSpoolProblem(`${count} devices have folders in ${spool}, ${recoveredAtOnce} are opened at a time`);
    for (let index = 0; index < recoveredAtOnce; index += 1) void this.#recoverInTurns();
  }

  /** Devices whose folder in the spool was not opened yet. */
  get unopenedCount(): number {
    return this.#unopened.size;
  }

  get all(): readonly DeviceSender[] {
    return [...this.#senders.values()];
  }

  /**
   * The sender of a device. At `devicesMax` the idle one that was used longest ago is closed; where none is idle, it is
   * that of {@link overflowDevice}.
   */
  get(deviceId: string): DeviceSender {
    const known = this.#senders.get(deviceId);
    if (known !== undefined) {
      this.#senders.delete(deviceId);
      this.#senders.set(deviceId, known);
      return known;
    }
    // Each has a folder in the spool: folders that are not opened yet count too.
    const isFull = this.#senders.size + this.#unopened.size >= this.#options.devicesMax;
    const isNew = deviceId !== overflowDevice && !this.#unopened.has(deviceId);
    if (isNew && isFull && !this.#closeIdle()) return this.get(overflowDevice);
    const sender = this.#open(deviceId);
    this.#unopened.delete(deviceId);
    this.#senders.set(deviceId, sender);
    return sender;
  }

  /** Sends what is left, for at most `deadlineMs`, and closes everything. Returns how many batches are unsettled. */
  async close(deadlineMs: number): Promise<number> {
    this.#isClosed = true;
    await Promise.all(this.all.map((sender) => sender.flush(deadlineMs)));
    const unsettled = this.all.reduce((sum, sender) => sum + sender.unsettledCount, 0);
    for (const sender of this.all) sender.close();
    for (const { client } of this.#channels) client.close();
    this.#lock?.[Symbol.dispose]();
    return unsettled;
  }

  /**
   * Closes the idle sender that was used longest ago. While Fleetlog is unreachable none is idle, however long ago it was used:
   * after a search in vain the next one waits, so that a flood of hostnames does not search each time.
   */
  #closeIdle(): boolean {
    if (performance.now() < this.#searchAtMs) return false;
    for (const sender of this.#senders.values()) {
      if (sender.isRecent) break; // and so are those behind it
      if (!sender.isIdle) continue;
      this.#close(sender);
      return true;
    }
    this.#searchAtMs = performance.now() + searchPauseMs;
    return false;
  }

  #close(sender: DeviceSender): void {
    this.#senders.delete(sender.deviceId);
    sender.close();
  }

  async #recoverInTurns(): Promise<void> {
    for (const deviceId of this.#unopened) {
      if (this.#isClosed) return;
      try {
        const sender = this.#open(deviceId);
        this.#unopened.delete(deviceId);
        this.#senders.set(deviceId, sender);
        await sender.settled();
        if (sender.isIdle && this.#senders.get(deviceId) === sender) this.#close(sender);
      } catch (error) {
        if (!this.#isClosed) this.#options.onSpoolProblem(`${deviceId}: ${(error as Error).message}`);
      }
    }
  }

  #open(deviceId: string): DeviceSender {
    const { address, credentials, spool, keepUntil, events, onSpoolProblem } = this.#options;
    let channel = this.#channels.find(({ streams }) => streams < streamsPerChannel);
    if (channel === undefined) {
      channel = { client: openChannel(address, credentials), streams: 0 };
      this.#channels.push(channel);
    }
    const used = channel;
    used.streams += 1;
    return new DeviceSender({
      deviceId,
      channel: used.client,
      ...(spool !== undefined && { spool: { folder: join(spool, `${folderPrefix}${deviceId}`) } }),
      pendingBytesMax: this.#options.pendingBytesMax / (this.#options.devicesMax + 1),
      keepUntil,
      giveUpAfterMs: Number.POSITIVE_INFINITY,
      recovered: events,
      onSpoolProblem,
      ...events,
      onLost: this.#options.onLost,
      onClosed: () => {
        used.streams -= 1;
      },
    });
  }
}

/** A hostname as the id of a device; other characters become "_". */
export function toDeviceId(hostname: string): string {
  return hostname.replaceAll(/[^A-Za-z0-9._:-]/g, "_").slice(0, limits.deviceIdBytesMax);
}
