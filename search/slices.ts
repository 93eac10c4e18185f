import { type TermSet, termCount } from "./term-set.ts";

/*
 * A summary as rows, of which a search reads few. A summary is of up to 32 segments, each of them the records of some
 * neighbouring batches; it says for each term which segments have it, as a mask of one bit a segment.
 *
 *     slice 0                          the segments: first and last batch id, count of records
 *     slice 2^level + term >> shift    terms whose first `level` bits are the same, for each number of level bits
 *
 * Slices are the nodes of a binary tree; one summary has all nodes of one level, so that a slice has about a kilobyte. Whatever
 * the level, the slice of a term is among those from the root to it. Terms that no segment has take no room: a slice is a
 * list of gap and mask, the gap one byte, where 255 stands for 255 terms without a mask.
 */

/** Batches with neighbouring ids. */
export interface Segment {
  readonly firstId: bigint;
  readonly lastId: bigint;
  readonly recordCount: number;
}

export const segmentsMax = 32;

export const segmentsSlice = 0;

export interface Slice {
  readonly slice: number;
  readonly bytes: Buffer;
}

/** Writes all slices. `masks` has one for each of the terms. */
export function writeSlices(
  segments: readonly Segment[],
  terms: TermSet,
  masks: Uint32Array,
): readonly Slice[] {
  const maskBytes = maskBytesOf(segments.length);
  const bytesMax = terms.count * (1 + maskBytes) + Math.ceil(termCount / longGap);
  const out = Buffer.allocUnsafe(bytesMax);
  const level = Math.min(Math.max(0, Math.ceil(Math.log2(bytesMax / sliceBytesWanted))), levelMax);
  const sliceTerms = termCount >> level;
  const slices = [{ slice: segmentsSlice, bytes: writeSegments(segments) }];
  let [start, end, next, sliceEnd] = [0, 0, 0, sliceTerms];
  const endSlice = () => {
    slices.push({ slice: (1 << level) + slices.length - 1, bytes: out.subarray(start, end) });
    start = end;
  };
  terms.forEach((term) => {
    for (; sliceEnd <= term; sliceEnd += sliceTerms) {
      endSlice();
      next = sliceEnd;
    }
    let gap = term - next;
    for (; gap >= longGap; gap -= longGap) out[end++] = longGap;
    out[end++] = gap;
    const mask = masks[term]!;
    for (let shift = 0; shift < maskBytes * 8; shift += 8) out[end++] = mask >>> shift;
    next = term + 1;
  });
  for (; sliceEnd <= termCount; sliceEnd += sliceTerms) endSlice();
  return slices;
}

/** Undefined: they are damaged. */
export function readSegments(bytes: Buffer): readonly Segment[] | undefined {
  const count = bytes.length / segmentBytes;
  if (!Number.isInteger(count) || count === 0 || count > segmentsMax) return undefined;
  return Array.from({ length: count }, (_, index) => {
    const at = index * segmentBytes;
    return {
      firstId: bytes.readBigInt64LE(at),
      lastId: bytes.readBigInt64LE(at + 8),
      recordCount: bytes.readInt32LE(at + 16),
    };
  });
}

/** The slices that may have a term, one for each level. */
export function slicesOf(term: number): readonly number[] {
  return Array.from({ length: levelMax + 1 }, (_, level) => sliceAt(level, term));
}

/** Which of `segmentCount` segments may have the term: those that have, by the slice that has the term, or all without it. */
export function readMask(slices: ReadonlyMap<number, Buffer>, segmentCount: number, term: number): number {
  for (let level = 0; level <= levelMax; level++) {
    const bytes = slices.get(sliceAt(level, term));
    if (bytes !== undefined) return findMask(bytes, maskBytesOf(segmentCount), term % (termCount >> level));
  }
  return allSegments;
}

/** Whether there are all slices of a summary, which a summary in the database may lack by damage alone. */
export function isComplete(slices: readonly Slice[]): boolean {
  const highest = Math.max(...slices.map(({ slice }) => slice));
  return highest > 0 && slices.length === 1 + (1 << levelOf(highest)) && highest <= sliceMax;
}

/** Calls `visit` with each term of a slice that a segment has, by the segment's index. */
export function forEachTermOf(
  index: number,
  segmentCount: number,
  { slice, bytes }: Slice,
  visit: (term: number) => void,
): void {
  const maskBytes = maskBytesOf(segmentCount);
  const level = levelOf(slice);
  let term = (slice - (1 << level)) * (termCount >> level);
  for (let at = 0; at < bytes.length; ) {
    const gap = bytes[at++]!;
    term += gap;
    if (gap === longGap) continue;
    if ((readMaskAt(bytes, at, maskBytes) & (1 << index)) !== 0) visit(term);
    at += maskBytes;
    term += 1;
  }
}

function findMask(bytes: Buffer, maskBytes: number, wanted: number): number {
  let place = 0;
  for (let at = 0; at < bytes.length && place <= wanted; ) {
    const gap = bytes[at++]!;
    place += gap;
    if (gap === longGap) continue;
    if (place === wanted) return readMaskAt(bytes, at, maskBytes);
    at += maskBytes;
    place += 1;
  }
  return 0;
}

function readMaskAt(bytes: Buffer, at: number, maskBytes: number): number {
  let mask = 0;
  for (let index = 0; index < maskBytes; index++) mask |= bytes[at + index]! << (8 * index);
  return mask;
}

function writeSegments(segments: readonly Segment[]): Buffer {
  const bytes = Buffer.alloc(segments.length * segmentBytes);
  for (const [index, { firstId, lastId, recordCount }] of segments.entries()) {
    const at = index * segmentBytes;
    bytes.writeBigInt64LE(firstId, at);
    bytes.writeBigInt64LE(lastId, at + 8);
    bytes.writeInt32LE(recordCount, at + 16);
  }
  return bytes;
}

function sliceAt(level: number, term: number): number {
  return (1 << level) + Math.floor(term / (termCount >> level));
}

function levelOf(slice: number): number {
  return 31 - Math.clz32(slice);
}

function maskBytesOf(segmentCount: number): number {
  return Math.ceil(segmentCount / 8);
}

/** A slice is a row, and a row above 2 KB is stored apart, which takes twice as long to read. */
const sliceBytesWanted = 1_400;
const levelMax = 8;
export const sliceMax = 2 * (1 << levelMax) - 1;
const longGap = 255;
const allSegments = 0xffff_ffff;
/** Two ids and a count. */
export const segmentBytes = 8 + 8 + 4;
