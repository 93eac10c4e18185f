/** The position of a record in the order of all records: by time, then by batch, then by index. */
export interface LogPosition {
  readonly timeMicros: bigint;
  readonly batchId: bigint;
  readonly index: number;
}

/**
 * Newest records first, or oldest first. A walk meets a batch by one of its two ends, `lead`: newest first by
 * its last time, oldest first by its first. SQL is written in these terms, so that one direction mirrors the
 * other.
 */
export interface LogOrder {
  readonly isOldestFirst: boolean;
  readonly lead: "last_time" | "first_time";
  readonly rear: "last_time" | "first_time";
  readonly direction: "asc" | "desc";
  readonly reverse: "asc" | "desc";
  /** `a isAfter b`: a is listed after b. */
  readonly isAfter: "<" | ">";
  readonly isBefore: "<" | ">";
}

export const newestFirst: LogOrder = {
  isOldestFirst: false,
  lead: "last_time",
  rear: "first_time",
  direction: "desc",
  reverse: "asc",
  isAfter: "<",
  isBefore: ">",
};

export const oldestFirst: LogOrder = {
  isOldestFirst: true,
  lead: "first_time",
  rear: "last_time",
  direction: "asc",
  reverse: "desc",
  isAfter: ">",
  isBefore: "<",
};

/** Sorts by the order: negative if `a` is listed before `b`. */
export function comparePositions(order: LogOrder): (a: LogPosition, b: LogPosition) => number {
  return order.isOldestFirst ? ascending : (a, b) => ascending(b, a);
}

/** Whether a record of time `a` is certainly listed before one of time `b`. */
export function isListedBefore(order: LogOrder, a: bigint, b: bigint): boolean {
  return order.isOldestFirst ? a < b : a > b;
}

function ascending(a: LogPosition, b: LogPosition): number {
  if (a.timeMicros !== b.timeMicros) return a.timeMicros < b.timeMicros ? -1 : 1;
  if (a.batchId !== b.batchId) return a.batchId < b.batchId ? -1 : 1;
  return a.index - b.index;
}
