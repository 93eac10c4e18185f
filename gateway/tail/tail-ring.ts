import type { BatchOfLogs } from "../logs/entry-block.ts";

/** One batch of the stream, read and decoded once for all tails. */
export interface BatchSlot extends BatchOfLogs {
  readonly shard: number;
  readonly id: string;
  /** Latin-1. */
  readonly digest: string;
  /** The size of the encoded batch; with the number of records it estimates the size in memory. */
  readonly bytes: number;
}

/** Batches received between these times, in milliseconds since 1970, may be missing. */
export interface Gap {
  readonly startMs: number;
  readonly endMs: number;
  readonly reason: string;
}

/** A gap at its place in the stream. */
export interface GapSlot {
  readonly gap: Gap;
  /** The shards whose stream was replaced here, and the position in the new one. */
  readonly goOnAfter: ReadonlyMap<number, string>;
}

export type Slot = BatchSlot | GapSlot;

/**
 * The newest entries, for all tails together: each tail has only the number of its next slot. Beyond the bound
 * the oldest slots are evicted, whether all tails have read them or not: a gateway's memory depends neither on
 * the number of tails nor on their speed.
 */
export class TailRing {
  readonly #slots = new Map<number, Slot>();
  readonly #weightMax: number;
  readonly #onEvict: (number: number, slot: Slot) => void;
  #weight = 0;
  #first = 0;
  #next = 0;

  /** `onEvict` is called for each slot before it is evicted. */
  constructor(weightMax: number, onEvict: (number: number, slot: Slot) => void) {
    this.#weightMax = weightMax;
    this.#onEvict = onEvict;
  }

  /** The number of the oldest slot. */
  get first(): number {
    return this.#first;
  }

  /** The number of the next slot. */
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

/** The approximate memory of a slot in bytes. */
export function slotBytes(slot: Slot): number {
  if ("gap" in slot) return slotOverheadBytes;
  const [{ attributes = {} } = {}] = slot.logs;
  const eachBytes = recordBytes + attributeBytes * Object.keys(attributes).length;
  return slotOverheadBytes + slot.bytes + slot.logs.length * eachBytes;
}

const slotOverheadBytes = 500;
/** Of a record without its texts. */
const recordBytes = 500;
/** Of a place in an object; those of a batch are in the object of each of its records. */
const attributeBytes = 20;
