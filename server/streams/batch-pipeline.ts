import type { Verdict } from "../outcome.ts";

/** How much of one stream may be under way: read, and its ack not yet handed to the connection. */
export const streamLimits = { batchesMax: 32, bytesMax: 4 * 1024 * 1024 } as const;

/** What all streams of the process have under way together. */
export interface SharedRoom {
  bytes: number;
  readonly bytesMax: number;
}

export interface PipelineOptions {
  readonly accept: (request: Uint8Array) => Promise<Verdict>;
  /** Sends one ack; calls `sent` when the connection has taken it, or never if it is gone. */
  readonly deliver: (verdict: Verdict, sent: () => void) => void;
  /** There is room again after {@link BatchPipeline.isFull}: read on. */
  readonly onRoom: () => void;
  readonly room: SharedRoom;
}

interface Slot {
  readonly bytes: number;
  verdict: Verdict | undefined;
}

/**
 * The batches of one stream, many under way at a time, their acks in the order of the batches.
 *
 * Whoever reads the stream pushes each batch and stops reading while `isFull`: what is not read stays in the
 * connection's window, and so the device feels it. A batch holds its room until its ack was sent, so a device that
 * does not read its acks stops its own stream and nothing else. While all streams together are over the shared bound,
 * each has one batch under way at a time.
 */
export class BatchPipeline {
  readonly #options: PipelineOptions;
  /** In the order of arrival; leaves from the front once its ack is delivered. */
  readonly #waiting: Slot[] = [];
  /** Every slot that still holds room. */
  readonly #holding = new Set<Slot>();
  #bytes = 0;
  #wasFull = false;
  #abandoned = false;
  #onIdle: (() => void)[] = [];

  constructor(options: PipelineOptions) {
    this.#options = options;
  }

  get isFull(): boolean {
    const { room } = this.#options;
    const { size } = this.#holding;
    const full =
      size >= streamLimits.batchesMax ||
      this.#bytes >= streamLimits.bytesMax ||
      (room.bytes >= room.bytesMax && size > 0);
    if (full) this.#wasFull = true;
    return full;
  }

  /** `accept` instead of the usual one, for a request of which its bytes do not say all. */
  push(request: Uint8Array, accept = this.#options.accept): void {
    const slot: Slot = { bytes: request.length, verdict: undefined };
    this.#waiting.push(slot);
    this.#holding.add(slot);
    this.#bytes += slot.bytes;
    this.#options.room.bytes += slot.bytes;
    // A rejection here is a bug of ours and ends the process: no batch may be left without an answer.
    void this.#answer(slot, accept(request));
  }

  /** Whether every batch pushed so far is answered and its ack sent. */
  get isIdle(): boolean {
    return this.#holding.size === 0;
  }

  /** Resolves when every batch pushed so far is answered and its ack sent, or the stream was abandoned. */
  whenIdle(): Promise<void> {
    if (this.isIdle) return Promise.resolve();
    return new Promise((resolve) => this.#onIdle.push(resolve));
  }

  /** The connection is gone: nothing more is delivered. What is on its way to Redis goes on. */
  abandon(): void {
    this.#abandoned = true;
    this.#waiting.length = 0;
    for (const slot of this.#holding) this.#release(slot);
  }

  async #answer(slot: Slot, verdict: Promise<Verdict>): Promise<void> {
    slot.verdict = await verdict;
    this.#deliver();
  }

  #deliver(): void {
    for (let slot = this.#waiting[0]; slot?.verdict !== undefined; slot = this.#waiting[0]) {
      const answered = slot;
      this.#waiting.shift();
      this.#options.deliver(slot.verdict, () => this.#release(answered));
    }
  }

  #release(slot: Slot): void {
    if (!this.#holding.delete(slot)) return;
    this.#bytes -= slot.bytes;
    this.#options.room.bytes -= slot.bytes;
    if (this.#wasFull && !this.#abandoned && !this.isFull) {
      this.#wasFull = false;
      this.#options.onRoom();
    }
    if (this.isIdle) {
      for (const resolve of this.#onIdle.splice(0)) resolve();
    }
  }
}
