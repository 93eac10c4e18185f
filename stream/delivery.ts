import { decodeEntry, type Entry, MalformedEntryError } from "./entry.ts";

/** Where an entry stands. Its id is Redis's, `milliseconds-counter`, and is good for XACK and nothing else. */
export interface EntryPosition {
  readonly shard: number;
  readonly id: string;
}

/** One batch handed to this consumer, pending until it is acknowledged. */
export interface Delivery extends EntryPosition {
  readonly entry: Entry;
}

/** Something handed to this consumer that is no entry; pending until it is acknowledged. */
export interface MalformedEntry extends EntryPosition {
  readonly error: MalformedEntryError;
  /** Name, value, name, value, … as they stand in the stream. */
  readonly fields: readonly Buffer[];
}

/** What one read brought. */
export interface Deliveries {
  readonly entries: Delivery[];
  readonly malformed: MalformedEntry[];
  /** Pending, but no longer in the stream: somebody deleted or trimmed it. Possible loss; must stay empty. */
  readonly deleted: EntryPosition[];
}

/** As Redis sends it: `[id, fields]`, the fields null when the entry is gone. */
export type RawEntry = [id: Buffer, fields: Buffer[] | null];

export function noDeliveries(): Deliveries {
  return { entries: [], malformed: [], deleted: [] };
}

/** Sorts what Redis sent for one shard into `into`. */
export function sortEntries(into: Deliveries, shard: number, raw: readonly RawEntry[]): void {
  for (const [idBytes, fields] of raw) {
    const id = idBytes.toString("latin1");
    if (fields === null || fields.length === 0) {
      into.deleted.push({ shard, id });
      continue;
    }
    try {
      into.entries.push({ shard, id, entry: decodeEntry(fields) });
    } catch (error) {
      if (!(error instanceof MalformedEntryError)) throw error;
      into.malformed.push({ shard, id, error, fields });
    }
  }
}
