import type { Timestamp } from "@bufbuild/protobuf/wkt";
import type { Micros } from "../state/time-range.ts";

export function toMicros(timestamp: Timestamp | undefined): Micros | undefined {
  return timestamp && Number(timestamp.seconds) * 1e6 + Math.floor(timestamp.nanos / 1000);
}

/** The fields of a Timestamp, which suffice for a request. */
export function toTimestamp(micros: Micros | undefined) {
  if (micros === undefined) return undefined;
  const seconds = Math.floor(micros / 1e6);
  return { seconds: BigInt(seconds), nanos: (micros - seconds * 1e6) * 1000 };
}
