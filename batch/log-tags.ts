/**
 * The tags of log.proto as they stand on the wire: field number × 8 + wire type. A test compares them with the
 * generated code.
 */
import { wireType } from "./wire-reader.ts";

const { varint, fixed64, bytes } = wireType;

export const batchTags = {
  deviceId: 1 * 8 + bytes,
  sessionId: 2 * 8 + bytes,
  sequence: 3 * 8 + varint,
  records: 4 * 8 + bytes,
  dropped: 5 * 8 + bytes,
} as const;

export const droppedTags = {
  lastSequence: 1 * 8 + varint,
  reason: 2 * 8 + bytes,
} as const;

export const recordTags = {
  timeUnixNano: 1 * 8 + fixed64,
  severity: 2 * 8 + varint,
  logger: 3 * 8 + bytes,
  message: 4 * 8 + bytes,
  attributes: 5 * 8 + bytes,
  unreadable: 6 * 8 + bytes,
} as const;

export const unreadableTags = {
  json: 1 * 8 + bytes,
  jsonBytes: 2 * 8 + varint,
  reason: 3 * 8 + bytes,
} as const;

/** An entry of map<string, string> is a message of its own. */
export const attributeTags = {
  key: 1 * 8 + bytes,
  value: 2 * 8 + bytes,
} as const;

/** The highest field number of each message; a higher one belongs to a later version of log.proto. */
export const knownFieldMax = { batch: 5, dropped: 2, record: 6, attribute: 2, unreadable: 3 } as const;
