import type { RecordFields } from "./record-fields.ts";
import type { Timestamp } from "./timestamp.ts";

/** What is known about the times of a batch beside its records; an entry of the stream has it. */
export interface TimeContext {
  /** µs since 1970. */
  readonly receivedAtMicros: number;
}

/** How the time of a record is known: TimeSource in query.proto. */
const timeSources = { device: 0, observed: 3, received: 4 } as const;
export type TimeSourceNumber = (typeof timeSources)[keyof typeof timeSources];

/**
 * Sets `time` to when a record happened, and returns how that is known. The one rule that rows, summaries and the live
 * tail share: what depends on the record alone is also in `RecordSummary`.
 */
export function setRecordTime(time: Timestamp, record: RecordFields, context: TimeContext): TimeSourceNumber {
  if ((record.timeHigh | record.timeLow) !== 0) {
    time.setNanos(record.timeHigh, record.timeLow);
    return timeSources.device;
  }
  const { rare } = record;
  if (rare?.hasObservedTime === true) {
    time.setNanos(rare.observedHigh, rare.observedLow);
    return timeSources.observed;
  }
  time.setMicros(context.receivedAtMicros);
  return timeSources.received;
}
