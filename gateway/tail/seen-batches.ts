import { contentSession } from "#batch/content-identity.ts";
import type { EntryPosition } from "#stream/delivery.ts";
import type { Entry } from "#stream/entry.ts";

/**
 * Remembers the position at which a batch was first read, so that a retry at another position is recognised.
 * The digest suffices: it covers the content, device, session and sequence. A server-assigned session is not part of
 * it, but has no retries, except the one for batches that are named by their content. Holds the last 50,000 to 100,000
 * batches, in about 15 MB.
 */
export class SeenBatches {
  readonly #perGeneration: number;
  #younger = new Map<string, string>();
  #older = new Map<string, string>();

  constructor(batchesMax = 100_000) {
    this.#perGeneration = Math.ceil(batchesMax / 2);
  }

  /** Whether this batch was read before, at another position. */
  isRepeat({ sessionId, digest }: Entry, { shard, id }: EntryPosition): boolean {
    if (sessionId.startsWith("~") && sessionId !== contentSession) return false;
    const name = digest.toString("latin1");
    const place = `${shard} ${id}`;
    const first = this.#younger.get(name) ?? this.#older.get(name);
    if (first !== undefined) return first !== place;
    if (this.#younger.size >= this.#perGeneration) {
      this.#older = this.#younger;
      this.#younger = new Map();
    }
    this.#younger.set(name, place);
    return false;
  }
}
