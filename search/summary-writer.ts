import { type Segment, type Slice, segmentsMax, writeSlices } from "./slices.ts";
import { TermSet, termCount } from "./term-set.ts";

/** The terms of some segments; see slices.ts. */
export interface Summary {
  /** All ids of the segments are from the first to the last. */
  readonly firstId: bigint;
  readonly lastId: bigint;
  readonly slices: readonly Slice[];
}

/** Summarizes batches one after the other, best in the order of their ids. All ids of a summary are of one day. */
export class SummaryWriter {
  /** Of the batch that was started last: add what its records have. */
  readonly terms = new TermSet();
  readonly #masks = new Uint32Array(termCount);
  #summaries: Summary[] = [];
  #segments: Segment[] = [];
  #firstId = 0n;
  #lastId = 0n;
  #recordCount = 0;

  /** What is added from now on are the terms of this batch. */
  startBatch(id: bigint, recordCount: number): void {
    if (this.#recordCount > 0 && !this.#belongs(id, recordCount)) this.#endSegment();
    if (this.#recordCount === 0) {
      const last = this.#segments.at(-1);
      if (last !== undefined && dayOf(last.lastId) !== dayOf(id)) this.#endSummary();
      this.#firstId = this.#lastId = id;
    } else if (id < this.#firstId) this.#firstId = id;
    else if (id > this.#lastId) this.#lastId = id;
    this.#recordCount += recordCount;
  }

  /** The summaries of all batches since the last `clear`. */
  finish(): readonly Summary[] {
    this.#endSegment();
    this.#endSummary();
    return this.#summaries;
  }

  clear(): void {
    this.terms.clear();
    if (this.#segments.length > 0) this.#masks.fill(0);
    this.#summaries = [];
    this.#segments = [];
    this.#recordCount = 0;
  }

  #belongs(id: bigint, recordCount: number): boolean {
    if (this.#recordCount + recordCount > segmentRecordsMax) return false;
    const distance = id > this.#lastId ? id - this.#lastId : this.#firstId - id;
    return distance <= idGapMax && dayOf(id) === dayOf(this.#firstId);
  }

  #endSegment(): void {
    if (this.#recordCount === 0) return;
    const bit = 1 << this.#segments.length;
    this.terms.forEach((term) => {
      this.#masks[term]! |= bit;
    });
    this.terms.clear();
    this.#segments.push({ firstId: this.#firstId, lastId: this.#lastId, recordCount: this.#recordCount });
    this.#recordCount = 0;
    if (this.#segments.length === segmentsMax) this.#endSummary();
  }

  #endSummary(): void {
    const segments = this.#segments;
    if (segments.length === 0) return;
    const firstId = segments.reduce(
      (least, { firstId }) => (firstId < least ? firstId : least),
      segments[0]!.firstId,
    );
    const lastId = segments.reduce(
      (most, { lastId }) => (lastId > most ? lastId : most),
      segments[0]!.lastId,
    );
    this.#summaries.push({ firstId, lastId, slices: writeSlices(segments, this.#masks) });
    this.#segments = [];
    this.#masks.fill(0);
  }
}

/** Batch ids are milliseconds << 20. */
const idsPerMs = 1n << 20n;
const idsPerDay = 86_400_000n * idsPerMs;

function dayOf(id: bigint): bigint {
  return id / idsPerDay;
}

/** Of a segment; a larger batch is one of its own. Half as many narrow little better, and take twice the room. */
const segmentRecordsMax = 1_024;
/** A batch that arrived late is not among those that are stored with it. */
const idGapMax = 60_000n * idsPerMs;
