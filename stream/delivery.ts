import { decodeEntry, type Entry, MalformedEntryError } from "./entry.ts";

/** The position of an entry. Its id is Redis's, `milliseconds-counter`. */
export interface EntryPosition {
  readonly shard: number;
  readonly id: string;
}

/** One batch delivered to this consumer, pending until it is acknowledged. */
export interface Delivery extends EntryPosition {
  readonly entry: Entry;
}

/** A malformed entry delivered to this consumer, pending until it is acknowledged. */
export interface MalformedEntry extends EntryPosition {
  readonly error: MalformedEntryError;
  /** Name, value, name, value, … as in the stream. */
  readonly fields: readonly Buffer[];
}

/** The result of one read. */
export interface Deliveries {
  readonly entries: Delivery[];
  readonly malformed: MalformedEntry[];
  /** Pending, but deleted or trimmed from the stream. Possible loss; must stay empty. */
  readonly deleted: EntryPosition[];
}

/** As Redis sends it: `[id, fields]`; fields are null when the entry is gone. */
export type RawEntry = [id: Buffer, fields: Buffer[] | null];

export function noDeliveries(): Deliveries {
  return { entries: [], malformed: [], deleted: [] };
}

/** Decodes the entries that Redis sent for one shard, and adds each to the right list of `into`. */
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
