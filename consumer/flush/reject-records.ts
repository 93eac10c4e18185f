import { type BatchRecord, batchRecords } from "#batch/batch-records.ts";
import { RecordSummary } from "#batch/record-summary.ts";
import type { Rejection, ScannedBatch } from "#batch/scan.ts";

/** The reason for each record to leave out, by its index. */
export type Reasons = ReadonlyMap<number, string>;

/**
 * Returns the batch with more of its records rejected: those that passed the scan but that PostgreSQL refuses. Rare, so
 * reading the batch again costs nothing that matters.
 */
export function rejectRecords(scanned: ScannedBatch, reasons: Reasons): ScannedBatch {
  const rejections: Rejection[] = [];
  const summary = new RecordSummary();
  for (const record of batchRecords(scanned)) {
    const rejected = record.rejection ?? rejection(reasons, record);
    if (rejected === undefined) summary.add(record.fields);
    else rejections.push(rejected);
  }
  const { firstTimeMicros, lastTimeMicros, untimedCount, clock, severities, errorCount } = summary;
  return {
    ...scanned,
    rejections,
    acceptedCount: scanned.recordCount - rejections.length,
    firstTimeMicros,
    lastTimeMicros,
    untimedCount,
    clock,
    severities,
    errorCount,
  };
}

function rejection(reasons: Reasons, { index, fieldStart, start, end }: BatchRecord): Rejection | undefined {
  const reason = reasons.get(index);
  return reason === undefined ? undefined : { index, fieldStart, start, end, reason, wasAccepted: true };
}
