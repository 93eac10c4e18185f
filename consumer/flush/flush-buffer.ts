import type { EntryPosition } from "#stream/delivery.ts";
import { type DeadLetter, isBatch, type ReceivedBatch } from "../received-batch.ts";

/** A flush while it fills, with the positions of its entries in the stream. */
export interface PendingFlush {
  readonly batches: ReceivedBatch[];
  readonly deadLetters: DeadLetter[];
  /** Entries that were deleted from the stream before they were stored. */
  readonly lost: EntryPosition[];
  readonly positions: EntryPosition[];
  records: number;
  bytes: number;
}

/** A flush is submitted before it would exceed a limit, or `intervalMs` after its first entry. */
export interface FlushLimits {
  readonly recordsMax: number;
  readonly bytesMax: number;
  readonly intervalMs: number;
}

/** Collects entries into flushes and submits each when it is due. */
export class FlushBuffer {
  readonly #limits: FlushLimits;
  readonly #submit: (flush: PendingFlush) => void;
  #pending = emptyFlush();
  #timer: NodeJS.Timeout | undefined;

  constructor(limits: FlushLimits, submit: (flush: PendingFlush) => void) {
    this.#limits = limits;
    this.#submit = submit;
  }

  add(position: EntryPosition, decoded: ReceivedBatch | DeadLetter): void {
    const records = isBatch(decoded) ? decoded.scanned.recordCount : 0;
    const bytes = isBatch(decoded) ? decoded.scanned.bytes.length : decoded.raw.length;
    const { recordsMax, bytesMax } = this.#limits;
    if (this.#pending.records + records > recordsMax || this.#pending.bytes + bytes > bytesMax) this.flush();
    if (isBatch(decoded)) this.#pending.batches.push(decoded);
    else this.#pending.deadLetters.push(decoded);
    this.#pending.records += records;
    this.#pending.bytes += bytes;
    this.#addPosition(position);
  }

  addLost(position: EntryPosition): void {
    this.#pending.lost.push(position);
    this.#addPosition(position);
  }

  /** Submits what there is. */
  flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#pending.positions.length === 0) return;
    const flush = this.#pending;
    this.#pending = emptyFlush();
    this.#submit(flush);
  }

  #addPosition(position: EntryPosition): void {
    this.#pending.positions.push(position);
    this.#timer ??= setTimeout(() => this.flush(), this.#limits.intervalMs);
  }
}

function emptyFlush(): PendingFlush {
  return { batches: [], deadLetters: [], lost: [], positions: [], records: 0, bytes: 0 };
}
