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

/** Sends the records of one device, one after the other. */
export class DeviceSender {
  readonly deviceId: string;
  readonly #stream: DeviceStream;
  readonly #log: DeviceLog;
  readonly #onClosed: () => void;
  readonly #waiting: Waiting[] = [];
  #isWriting = false;
  #usedAtMs = performance.now();

  constructor({ onClosed, ...options }: DeviceStreamOptions & { readonly onClosed: () => void }) {
    this.deviceId = options.deviceId;
    this.#stream = new DeviceStream(options);
    this.#log = new DeviceLog(this.#stream, { intervalMs });
    this.#onClosed = onClosed;
  }

  /** Nothing is unsettled, and nothing came for a while. */
  get isIdle(): boolean {
    const isQuiet = performance.now() - this.#usedAtMs > idleAfterMs;
    return (
      isQuiet && this.unsettledCount === 0 && this.#log.unsent.length === 0 && this.#waiting.length === 0
    );
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

  close(): void {
    this.#stream.close();
    this.#onClosed();
  }

  async #writeAll(): Promise<void> {
    this.#isWriting = true;
    for (let next = this.#waiting.shift(); next !== undefined; next = this.#waiting.shift()) {
      try {
        await this.#log.write(next.record, undefined);
        next.resolve();
      } catch (error) {
        next.reject(error);
      }
    }
    this.#isWriting = false;
  }
}
