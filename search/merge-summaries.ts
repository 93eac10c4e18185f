import { forEachTermOf, isComplete, readSegments, segmentsSlice } from "./slices.ts";
import { type Summary, SummaryWriter } from "./summary-writer.ts";

/**
 * Fewer summaries of the same batches: those of small flushes have few records and take several times the room of a full one. A
 * summary that cannot be read stays as it is.
 */
export function mergeSummaries(summaries: readonly Summary[]): readonly Summary[] {
  const writer = new SummaryWriter();
  const kept: Summary[] = [];
  const parts = summaries.flatMap((summary) => {
    const header = summary.slices.find(({ slice }) => slice === segmentsSlice);
    const segments = header && readSegments(header.bytes);
    if (segments === undefined || !isComplete(summary.slices)) {
      kept.push(summary);
      return [];
    }
    const terms = summary.slices.filter(({ slice }) => slice !== segmentsSlice);
    return segments.map((segment, index) => ({ segment, index, count: segments.length, terms }));
  });
  parts.sort((a, b) => (a.segment.firstId < b.segment.firstId ? -1 : 1));
  for (const { segment, index, count, terms } of parts) {
    writer.startBatches(segment, segment.recordCount);
    for (const slice of terms) forEachTermOf(index, count, slice, (term) => writer.terms.add(term));
  }
  return [...kept, ...writer.finish()];
}
