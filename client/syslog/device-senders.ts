import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import type { ChannelCredentials, Client } from "@grpc/grpc-js";
import { limits } from "#batch/limits.ts";
import type { DeviceStreamEvents } from "#client/stream/device-stream-options.ts";
import { openChannel } from "#client/transports/grpc-channel.ts";
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
}

/** Records of further hostnames than `devicesMax` are sent as this device. */
export const overflowDevice = "syslog";

/** Before the name of a device's folder: ".." alone would be another folder. */
const folderPrefix = "device-";

/** Nginx allows 128 streams on one connection. */
const streamsPerChannel = 100;

/** One sender for each device, opened at its first record. */
export class DeviceSenders {
  readonly #options: DeviceSendersOptions;
  /** The one used last is the last. */
  readonly #senders = new Map<string, DeviceSender>();
  readonly #channels: { readonly client: Client; streams: number }[] = [];

  constructor(options: DeviceSendersOptions) {
    this.#options = options;
  }

  /** Opens the senders whose batches an earlier process left in the spool. Throws SpoolError. */
  recover(): void {
    const { spool } = this.#options;
    if (spool === undefined || !existsSync(spool)) return;
    const folders = readdirSync(spool).filter((name) => name.startsWith(folderPrefix));
    for (const name of folders) this.get(name.slice(folderPrefix.length));
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
    const isFull = this.#senders.size >= this.#options.devicesMax && deviceId !== overflowDevice;
    if (isFull && !this.#closeIdle()) return this.get(overflowDevice);
    const sender = this.#open(deviceId);
    this.#senders.set(deviceId, sender);
    return sender;
  }

  /** Sends what is left, for at most `deadlineMs`, and closes everything. Returns how many batches are unsettled. */
  async close(deadlineMs: number): Promise<number> {
    await Promise.all(this.all.map((sender) => sender.flush(deadlineMs)));
    const unsettled = this.all.reduce((sum, sender) => sum + sender.unsettledCount, 0);
    for (const sender of this.all) sender.close();
    for (const { client } of this.#channels) client.close();
    return unsettled;
  }

  #closeIdle(): boolean {
    const idle = [...this.#senders].find(([, sender]) => sender.isIdle);
    if (idle === undefined) return false;
    const [deviceId, sender] = idle;
    this.#senders.delete(deviceId);
    sender.close();
    return true;
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
