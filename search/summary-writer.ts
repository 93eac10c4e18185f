import { type Segment, type Slice, segmentsMax, writeSlices } from "./slices.ts";
import { TermSet, termCount } from "./term-set.ts";

/** The terms of some segments; see slices.ts. */
export interface Summary extends IdSpan {
  readonly slices: readonly Slice[];
}

/** All ids of some batches, from the first to the last. */
export interface IdSpan {
  readonly firstId: bigint;
  readonly lastId: bigint;
}

/** Summarizes batches one after the other, best in the order of their ids. */
export class SummaryWriter {
  /** Of the batch that was started last: add what its records have. */
  readonly terms = new TermSet();
  /** Of the open summary. */
  readonly #allTerms = new TermSet();
  /** For each of its terms a mask; the others are 0. */
  readonly #masks = new Uint32Array(termCount);
  readonly #summaries: Summary[] = [];
  readonly #segments: Segment[] = [];
  #summary: IdSpan | undefined;
  #segment: IdSpan | undefined;
  #recordCount = 0;

  /** What is added from now on are the terms of this batch. */
  startBatch(id: bigint, recordCount: number): void {
    this.startBatches({ firstId: id, lastId: id }, recordCount);
  }

  /** What is added from now on are the terms of these batches. */
  startBatches(span: IdSpan, recordCount: number): void {
    if (recordCount === 0) return;
    const isNear = canHold(this.#summary, span, summaryIdsMax);
    const fits = this.#recordCount + recordCount <= segmentRecordsMax;
    if (!fits || !isNear || !canHold(this.#segment, span, segmentIdsMax)) this.#endSegment();
    if (!isNear || this.#segments.length === segmentsMax) this.#endSummary();
    this.#segment = widen(this.#segment, span);
    this.#summary = widen(this.#summary, span);
    this.#recordCount += recordCount;
  }

  /** The summaries of all batches since the last `clear`. */
  finish(): readonly Summary[] {
    this.#endSegment();
    this.#endSummary();
    return [...this.#summaries];
  }

  clear(): void {
    this.terms.clear();
    this.#clearMasks();
    this.#summaries.length = 0;
    this.#segments.length = 0;
    this.#summary = undefined;
    this.#segment = undefined;
    this.#recordCount = 0;
  }

  #endSegment(): void {
    if (this.#segment === undefined) return;
    const [bit, masks, allTerms] = [1 << this.#segments.length, this.#masks, this.#allTerms];
    this.terms.forEach((term) => {
      masks[term]! |= bit;
      allTerms.add(term);
    });
    this.terms.clear();
    this.#segments.push({ ...this.#segment, recordCount: this.#recordCount });
    this.#segment = undefined;
    this.#recordCount = 0;
  }

  #endSummary(): void {
    if (this.#summary === undefined) return;
    this.#summaries.push({
      ...this.#summary,
      slices: writeSlices(this.#segments, this.#allTerms, this.#masks),
    });
    this.#clearMasks();
    this.#segments.length = 0;
    this.#summary = undefined;
  }

  /** One by one: a small flush has few, and filling all took most of its time. */
  #clearMasks(): void {
    const masks = this.#masks;
    this.#allTerms.forEach((term) => {
      masks[term] = 0;
    });
    this.#allTerms.clear();
  }
}

function widen(span: IdSpan | undefined, added: IdSpan): IdSpan {
  if (span === undefined) return added;
  return {
    firstId: added.firstId < span.firstId ? added.firstId : span.firstId,
    lastId: added.lastId > span.lastId ? added.lastId : span.lastId,
  };
}

/** Whether the span is short also with these ids, and all of it of one day. */
function canHold(span: IdSpan | undefined, added: IdSpan, idsMax: bigint): boolean {
  const { firstId, lastId } = widen(span, added);
  return lastId - firstId < idsMax && firstId / idsPerDay === lastId / idsPerDay;
}

/** Batch ids are milliseconds << 20. */
const idsPerMs = 1n << 20n;
const idsPerDay = 86_400_000n * idsPerMs;

/** Of a segment; a larger batch is one of its own. Half as many narrow little better, and take twice the room. */
const segmentRecordsMax = 1_024;
/** A batch that arrived late is not among those that are stored with it. */
const segmentIdsMax = 60_000n * idsPerMs;
/** The last id of a summary minus its first is below this. */
export const summaryIdsMax = 600_000n * idsPerMs;
