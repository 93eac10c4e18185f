import { rmSync } from "node:fs";
import { DeviceLog } from "#client/device-log.ts";
import { DeviceStream } from "#client/stream/device-stream.ts";
import type { DeviceStreamOptions } from "#client/stream/device-stream-options.ts";

/** A batch is sent at the latest this long after its first record. */
const intervalMs = 200;
const idleAfterMs = 10_000;

interface Waiting {
  readonly record: Uint8Array;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

interface DeviceSenderOptions extends DeviceStreamOptions {
  readonly onClosed: () => void;
  /** Records that the spool did not take, because its disk is full for example. */
  readonly onLost: (recordCount: number, reason: string) => void;
}

/** Sends the records of one device, one after the other. */
export class DeviceSender {
  readonly deviceId: string;
  readonly #stream: DeviceStream;
  #log: DeviceLog;
  readonly #options: DeviceSenderOptions;
  readonly #waiting: Waiting[] = [];
  #isWriting = false;
  #usedAtMs = Number.NEGATIVE_INFINITY;

  constructor(options: DeviceSenderOptions) {
    this.deviceId = options.deviceId;
    this.#stream = new DeviceStream(options);
    this.#log = new DeviceLog(this.#stream, { intervalMs });
    this.#options = options;
  }

  /** A record came a moment ago. */
  get isRecent(): boolean {
    return performance.now() - this.#usedAtMs <= idleAfterMs;
  }

  /** Nothing is unsettled, and nothing came for a while. */
  get isIdle(): boolean {
    return !this.isRecent && this.#isEmpty;
  }

  /** Resolves when all that was written is settled. Throws when the stream fails. */
  async settled(): Promise<void> {
    await this.#log.flush();
  }

  get unsettledCount(): number {
    return this.#stream.unacknowledged.length + this.#stream.recoveredCount;
  }

  /** Resolves when the stream has taken the record: wait for it before reading on. The caller bounds what waits. */
  async write(record: Uint8Array): Promise<void> {
    this.#usedAtMs = performance.now();
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#waiting.push({ record, resolve, reject });
    if (!this.#isWriting) void this.#writeAll();
    await promise;
  }

  async flush(deadlineMs: number): Promise<void> {
    await this.#log.flush(deadlineMs).catch(() => {}); // the rest is counted, or is in the spool
  }

  /** Closes the stream. Removes its folder in the spool, which nothing would name again, when it is empty. */
  close(): void {
    const { folder } = this.#options.spool ?? {};
    const isEmpty = this.#isEmpty;
    this.#stream.close();
    if (folder !== undefined && isEmpty) rmSync(folder, { recursive: true, force: true });
    this.#options.onClosed();
  }

  get #isEmpty(): boolean {
    return this.unsettledCount === 0 && this.#log.unsent.length === 0 && this.#waiting.length === 0;
  }

  async #writeAll(): Promise<void> {
    this.#isWriting = true;
    for (let next = this.#waiting.shift(); next !== undefined; next = this.#waiting.shift()) {
      try {
        await this.#log.write(next.record, undefined);
        next.resolve();
      } catch (error) {
        this.#restartLog(error as Error);
        next.reject(error);
      }
    }
    this.#isWriting = false;
  }

  /** A log accepts nothing after a batch that it could not send: the next one may find room on the disk again. */
  #restartLog(error: Error): void {
    const lost = this.#log.unsent.reduce((sum, { recordCount }) => sum + recordCount, 0);
    this.#log = new DeviceLog(this.#stream, { intervalMs });
    this.#options.onLost(lost, error.message);
  }
}
