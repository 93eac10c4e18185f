import type { Outcome } from "../outcome.ts";

/** Limits of one stream: batches in flight are read, and the connection has not accepted their acks yet. */
export const streamLimits = { batchesMax: 32, bytesMax: 4 * 1024 * 1024 } as const;

/** Bytes in flight of all streams of the process together. */
export interface SharedBudget {
  bytes: number;
  readonly bytesMax: number;
}

export interface PipelineOptions {
  /** Sends one ack; calls `sent` once the connection accepted it, or never if it is gone. */
  readonly sendAck: (outcome: Outcome, sent: () => void) => void;
  /** Called when the pipeline is no longer full after {@link BatchPipeline.isFull}: resume reading. */
  readonly onDrain: () => void;
  readonly budget: SharedBudget;
}

interface Slot {
  readonly bytes: number;
  outcome: Outcome | undefined;
}

/**
 * The batches of one stream: many in flight at a time, their acks in the order of the batches.
 *
 * The reader of the stream pushes each batch and stops reading while `isFull`: unread bytes stay in the connection's
 * window, which slows the device down. A batch counts against the budget until its ack is sent, so a device that does
 * not read its acks stops only its own stream. While all streams together exceed the shared budget, each has one batch
 * in flight at a time.
 */
export class BatchPipeline {
  readonly #options: PipelineOptions;
  /** In order of arrival; the first leaves once its ack is sent. */
  readonly #waiting: Slot[] = [];
  /** Every slot that counts against the budget. */
  readonly #holding = new Set<Slot>();
  #bytes = 0;
  #wasFull = false;
  #abandoned = false;
  #onIdle: (() => void)[] = [];

  constructor(options: PipelineOptions) {
    this.#options = options;
  }

  get isFull(): boolean {
    const { budget } = this.#options;
    const { size } = this.#holding;
    const full =
      size >= streamLimits.batchesMax ||
      this.#bytes >= streamLimits.bytesMax ||
      (budget.bytes >= budget.bytesMax && size > 0);
    if (full) this.#wasFull = true;
    return full;
  }

  /** A batch of this many bytes, which `accept` validates and appends. */
  push(bytes: number, accept: () => Promise<Outcome>): void {
    const slot: Slot = { bytes, outcome: undefined };
    this.#waiting.push(slot);
    this.#holding.add(slot);
    this.#bytes += slot.bytes;
    this.#options.budget.bytes += slot.bytes;
    // A rejection here is our bug and ends the process: every batch gets an ack.
    void this.#complete(slot, accept());
  }

  /** True when the ack of every batch is sent. */
  get isIdle(): boolean {
    return this.#holding.size === 0;
  }

  /** Resolves when the ack of every batch is sent, or the stream is abandoned. */
  whenIdle(): Promise<void> {
    if (this.isIdle) return Promise.resolve();
    return new Promise((resolve) => this.#onIdle.push(resolve));
  }

  /** The connection is gone: no more acks are sent. Appends in flight continue. */
  abandon(): void {
    this.#abandoned = true;
    this.#waiting.length = 0;
    for (const slot of this.#holding) this.#release(slot);
  }

  async #complete(slot: Slot, outcome: Promise<Outcome>): Promise<void> {
    slot.outcome = await outcome;
    this.#deliver();
  }

  #deliver(): void {
    for (let slot = this.#waiting[0]; slot?.outcome !== undefined; slot = this.#waiting[0]) {
      const answered = slot;
      this.#waiting.shift();
      this.#options.sendAck(slot.outcome, () => this.#release(answered));
    }
  }

  #release(slot: Slot): void {
    if (!this.#holding.delete(slot)) return;
    this.#bytes -= slot.bytes;
    this.#options.budget.bytes -= slot.bytes;
    if (this.#wasFull && !this.#abandoned && !this.isFull) {
      this.#wasFull = false;
      this.#options.onDrain();
    }
    if (this.isIdle) {
      for (const resolve of this.#onIdle.splice(0)) resolve();
    }
  }
}
