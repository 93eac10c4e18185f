import type { TimeContext } from "./record-time.ts";
import type { ScannedBatch } from "./scan.ts";

/** From the earliest to the latest time of a batch's records, both included, in µs since 1970. */
export interface TimeRange {
  readonly firstMicros: bigint;
  readonly lastMicros: bigint;
}

/**
 * The range of the times that are stored for a batch: records without a time of their own get the time at which the
 * batch was received, and a batch without accepted records has nothing but that.
 */
export function storedTimeRange(
  batch: Pick<ScannedBatch, "firstTimeMicros" | "lastTimeMicros" | "untimedCount">,
  { receivedAtMicros }: TimeContext,
): TimeRange {
  const received = BigInt(receivedAtMicros);
  const first = batch.firstTimeMicros ?? received;
  const last = batch.lastTimeMicros ?? received;
  if (batch.untimedCount === 0) return { firstMicros: first, lastMicros: last };
  return { firstMicros: first < received ? first : received, lastMicros: last > received ? last : received };
}
