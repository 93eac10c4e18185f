import { type BatchRecord, batchRecords } from "#batch/batch-records.ts";
import { RecordSummary } from "#batch/record-summary.ts";
import type { Rejection, ScannedBatch } from "#batch/scan.ts";

/** For each index of a record that is to be left out, why. */
export type Reasons = ReadonlyMap<number, string>;

/**
 * The same batch with more of its records rejected. For records that passed the scan and that PostgreSQL refuses all
 * the same; rare, so reading the batch once more does not matter.
 */
export function rejectRecords(scanned: ScannedBatch, reasons: Reasons): ScannedBatch {
  const rejections: Rejection[] = [];
  const summary = new RecordSummary();
  for (const record of batchRecords(scanned)) {
    const rejected = record.rejection ?? rejection(reasons, record);
    if (rejected === undefined) summary.add(record.fields);
    else rejections.push(rejected);
  }
  const { firstTimeMicros, lastTimeMicros, untimedCount, severities, errorCount } = summary;
  return {
    ...scanned,
    rejections,
    acceptedCount: scanned.recordCount - rejections.length,
    firstTimeMicros,
    lastTimeMicros,
    untimedCount,
    severities,
    errorCount,
  };
}

function rejection(reasons: Reasons, { index, fieldStart, start, end }: BatchRecord): Rejection | undefined {
  const reason = reasons.get(index);
  return reason === undefined ? undefined : { index, fieldStart, start, end, reason, wasAccepted: true };
}
