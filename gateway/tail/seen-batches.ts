import type { EntryPosition } from "#stream/delivery.ts";
import type { Entry } from "#stream/entry.ts";

/**
 * Remembers at which place of the stream a batch was first met, so that a retry that stands there too is told from it.
 * The digest is enough: it is over what the batch means, device, session and sequence included; only of a session
 * that the server named they are not, and of such there are no retries. Holds the last 50,000 to 100,000 batches, in about 15 MB.
 */
export class SeenBatches {
  readonly #perGeneration: number;
  #younger = new Map<string, string>();
  #older = new Map<string, string>();

  constructor(batchesMax = 100_000) {
    this.#perGeneration = Math.ceil(batchesMax / 2);
  }

  /** Whether this batch was met before, at another place. */
  isRepeat({ sessionId, digest }: Entry, { shard, id }: EntryPosition): boolean {
    if (sessionId.startsWith("~")) return false;
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
