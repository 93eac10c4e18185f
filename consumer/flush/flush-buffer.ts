import type { Place } from "#stream/delivery.ts";
import { type BatchInHand, type DeadLetter, isBatch } from "../received-batch.ts";

/** A flush as it fills, and where its entries stand in the stream. */
export interface Draft {
  readonly batches: BatchInHand[];
  readonly letters: DeadLetter[];
  /** Entries that somebody removed from the stream before they were stored. */
  readonly lost: Place[];
  readonly places: Place[];
  records: number;
  bytes: number;
}

/** When a flush goes off: before it would pass a bound, or so long after the first entry. */
export interface DraftLimits {
  readonly recordsMax: number;
  readonly bytesMax: number;
  readonly intervalMs: number;
}

/** Puts entries together to flushes, and hands each to `submit` when it is due. */
export class Drafter {
  readonly #limits: DraftLimits;
  readonly #submit: (draft: Draft) => void;
  #draft = emptyDraft();
  #timer: NodeJS.Timeout | undefined;

  constructor(limits: DraftLimits, submit: (draft: Draft) => void) {
    this.#limits = limits;
    this.#submit = submit;
  }

  add(place: Place, taken: BatchInHand | DeadLetter): void {
    const records = isBatch(taken) ? taken.scanned.recordCount : 0;
    const bytes = isBatch(taken) ? taken.scanned.bytes.length : taken.raw.length;
    const { recordsMax, bytesMax, intervalMs } = this.#limits;
    if (this.#draft.records + records > recordsMax || this.#draft.bytes + bytes > bytesMax) this.flush();
    if (isBatch(taken)) this.#draft.batches.push(taken);
    else this.#draft.letters.push(taken);
    this.#draft.records += records;
    this.#draft.bytes += bytes;
    this.#place(place, intervalMs);
  }

  addLost(place: Place): void {
    this.#draft.lost.push(place);
    this.#place(place, this.#limits.intervalMs);
  }

  #place(place: Place, intervalMs: number): void {
    this.#draft.places.push(place);
    this.#timer ??= setTimeout(() => this.flush(), intervalMs);
  }

  /** Hands over what there is. */
  flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#draft.places.length === 0) return;
    const draft = this.#draft;
    this.#draft = emptyDraft();
    this.#submit(draft);
  }
}

function emptyDraft(): Draft {
  return { batches: [], letters: [], lost: [], places: [], records: 0, bytes: 0 };
}
