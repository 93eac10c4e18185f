import type { LogEntry } from "#proto/gen/fleetlog/v1/query_pb.ts";
import { toMicros } from "../api/timestamp.ts";

const keys = new WeakMap<LogEntry, string>();

/** Identifies a record. A reused sequence has two batches, which differ in their time of reception. */
export function logKey(entry: LogEntry): string {
  const known = keys.get(entry);
  if (known !== undefined) return known;
  const { deviceId, sessionId, sequence, index } = entry;
  const key = [deviceId, sessionId, sequence, index, toMicros(entry.receivedAt) ?? 0].join("/");
  keys.set(entry, key);
  return key;
}
