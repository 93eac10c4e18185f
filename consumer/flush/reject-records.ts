import { batchTags } from "#batch/log-tags.ts";
import { RecordFields } from "#batch/record-fields.ts";
import { RecordSummary } from "#batch/record-summary.ts";
import type { Rejection, ScannedBatch } from "#batch/scan.ts";
import { WireReader } from "#batch/wire-reader.ts";

/** For each index of a record that is to be left out, why. */
export type Reasons = ReadonlyMap<number, string>;

/**
 * The same batch with more of its records rejected. For records that passed the scan and that PostgreSQL refuses all
 * the same; rare, so reading the batch once more does not matter.
 */
export function rejectRecords(scanned: ScannedBatch, reasons: Reasons): ScannedBatch {
  const known = new Map(scanned.rejections.map((rejection) => [rejection.index, rejection]));
  const rejections: Rejection[] = [];
  const summary = new RecordSummary();
  const record = new RecordFields();
  const reader = new WireReader(scanned.bytes);
  let index = 0;
  while (reader.position < reader.end) {
    const fieldStart = reader.position;
    const tag = reader.tag();
    if (tag !== batchTags.records) {
      reader.skip(tag);
      continue;
    }
    const size = reader.size();
    const start = reader.position;
    const rejected = known.get(index) ?? rejection(reasons, { index, fieldStart, start, end: start + size });
    if (rejected === undefined) {
      record.read(reader, size);
      summary.add(record);
    } else {
      rejections.push(rejected);
      reader.position += size;
    }
    index += 1;
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

function rejection(reasons: Reasons, record: Omit<Rejection, "reason">): Rejection | undefined {
  const reason = reasons.get(record.index);
  return reason === undefined ? undefined : { ...record, reason, wasAccepted: true };
}
