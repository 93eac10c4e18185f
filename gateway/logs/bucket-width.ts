import { floorTime, type TimeRange } from "../fields/time-range.ts";

/** The smallest round width, in microseconds, that divides the range into at most `bucketsMax` buckets. */
export function bucketWidth({ startMicros, endMicros }: TimeRange, bucketsMax: number): bigint {
  const isWideEnough = (width: bigint) =>
    (endMicros - floorTime(startMicros, width) + width - 1n) / width <= BigInt(bucketsMax);
  for (const seconds of widthsSeconds) {
    if (isWideEnough(seconds * second)) return seconds * second;
  }
  let days = (endMicros - startMicros) / (day * BigInt(bucketsMax)) + 1n;
  while (!isWideEnough(days * day)) days += 1n;
  return days * day;
}

const second = 1_000_000n;
const day = 86_400n * second;
/** Each divides a day; from one minute on each is whole minutes. */
const widthsSeconds = [
  1n,
  2n,
  5n,
  10n,
  15n,
  30n,
  60n,
  120n,
  300n,
  600n,
  900n,
  1800n,
  3600n,
  7200n,
  10_800n,
  21_600n,
  43_200n,
  86_400n,
];
