import { batchRecords } from "./batch-records.ts";
import { hasTime, type Reception, RecordTimes } from "./record-time.ts";
import type { ScannedBatch } from "./scan.ts";
import { Timestamp } from "./timestamp.ts";

/** From the earliest to the latest time of a batch's records, both included, in µs since 1970. */
export interface TimeRange {
  readonly firstMicros: bigint;
  readonly lastMicros: bigint;
}

/** The range of the times that are stored for a batch; the time of its reception when it has no accepted record. */
export function storedTimeRange(
  batch: Pick<
    ScannedBatch,
    "bytes" | "rejections" | "cutRecords" | "firstTimeMicros" | "lastTimeMicros" | "untimedCount" | "clock"
  >,
  reception: Reception,
): TimeRange {
  const received = BigInt(reception.receivedAtMicros);
  const { firstTimeMicros: first = received, lastTimeMicros: last = received } = batch;
  if (batch.untimedCount === 0) return { firstMicros: first, lastMicros: last };
  const untimed =
    batch.clock === undefined
      ? { firstMicros: received, lastMicros: received }
      : untimedRange(batch, reception);
  if (batch.firstTimeMicros === undefined) return untimed;
  return {
    firstMicros: first < untimed.firstMicros ? first : untimed.firstMicros,
    lastMicros: last > untimed.lastMicros ? last : untimed.lastMicros,
  };
}

/** Of the records without a time of their own: few senders have any, so they are read once more. */
function untimedRange(
  batch: Pick<ScannedBatch, "bytes" | "rejections" | "cutRecords" | "clock">,
  reception: Reception,
): TimeRange {
  const times = new RecordTimes(batch, reception);
  const time = new Timestamp();
  let firstMicros = BigInt(Number.MAX_SAFE_INTEGER);
  let lastMicros = 0n;
  for (const { fields, rejection } of batchRecords(batch)) {
    if (rejection !== undefined || hasTime(fields)) continue;
    times.set(time, fields);
    const { micros } = time;
    if (micros < firstMicros) firstMicros = micros;
    if (micros > lastMicros) lastMicros = micros;
  }
  return { firstMicros, lastMicros };
}
