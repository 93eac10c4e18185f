import type { BatchOfLogs } from "../logs/match-logs.ts";

/** One batch of the stream, read and decoded once for all tails. */
export interface BatchSlot extends BatchOfLogs {
  readonly shard: number;
  readonly id: string;
  /** Latin-1. */
  readonly digest: string;
  /** Of the encoded batch; what it is in memory is judged by that and by the number of records. */
  readonly bytes: number;
}

/** Between what was received at these times, in milliseconds since 1970, something may be missing. */
export interface Gap {
  readonly startMs: number;
  readonly endMs: number;
  readonly reason: string;
}

/** A gap at its place in the stream. */
export interface GapSlot {
  readonly gap: Gap;
  /** The shards whose stream is another one from here on, and the position in it. */
  readonly goOnAfter: ReadonlyMap<number, string>;
}

export type Slot = BatchSlot | GapSlot;

/**
 * The newest of what was read, for all tails together: each of them has but a number, that of the slot it takes next.
 * What is beyond the bound goes, oldest first, whether all have taken it or not: hence the memory of a gateway does
 * not depend on how many tails there are, nor on how slow they are.
 */
export class TailRing {
  readonly #slots = new Map<number, Slot>();
  readonly #weightMax: number;
  readonly #onEvict: (number: number, slot: Slot) => void;
  #weight = 0;
  #first = 0;
  #next = 0;

  /** `onEvict` is called for each slot that goes, while it is still there. */
  constructor(weightMax: number, onEvict: (number: number, slot: Slot) => void) {
    this.#weightMax = weightMax;
    this.#onEvict = onEvict;
  }

  /** The number of the oldest slot that is there. */
  get first(): number {
    return this.#first;
  }

  /** The number that the next slot gets. */
  get next(): number {
    return this.#next;
  }

  at(number: number): Slot | undefined {
    return this.#slots.get(number);
  }

  /** All slots, oldest first. */
  all(): Slot[] {
    return [...this.#slots.values()];
  }

  push(slot: Slot): void {
    this.#slots.set(this.#next, slot);
    this.#next += 1;
    this.#weight += slotBytes(slot);
    while (this.#weight > this.#weightMax && this.#slots.size > 1) this.#evict();
  }

  #evict(): void {
    const slot = this.#slots.get(this.#first) as Slot;
    this.#onEvict(this.#first, slot);
    this.#slots.delete(this.#first);
    this.#weight -= slotBytes(slot);
    this.#first += 1;
  }
}

/** About the bytes that a slot takes in memory. */
export function slotBytes(slot: Slot): number {
  return "gap" in slot ? slotOverheadBytes : slotOverheadBytes + slot.bytes + slot.logs.length * recordBytes;
}

const slotOverheadBytes = 500;
/** Of a record besides its texts. */
const recordBytes = 500;
