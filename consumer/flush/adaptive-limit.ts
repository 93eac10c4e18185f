import { DatabaseError } from "pg";
import type { Flush } from "./transaction.ts";

/**
 * How much is stored in one transaction while PostgreSQL is too slow for what a flush holds: half of what it did not
 * manage within STATEMENT_TIMEOUT_MS, and an eighth more with each success. Without a limit until that happens for the
 * first time. A doubling would meet the timeout again with every second flush.
 */
export class FlushSize {
  #weightMax = Number.POSITIVE_INFINITY;

  /** A single batch is never too large: it cannot be divided. */
  isTooLarge(flush: Flush): boolean {
    return weightOf(flush) > this.#weightMax;
  }

  /** PostgreSQL gave this up as too slow. Two flushes that met the same slow moment halve it once. */
  tooSlow(flush: Flush): void {
    this.#weightMax = Math.min(this.#weightMax, Math.max(1, weightOf(flush) >> 1));
  }

  /** Only what came near the limit shows that there is room above it. */
  stored(flush: Flush): void {
    if (weightOf(flush) * 2 > this.#weightMax) this.#weightMax += Math.ceil(this.#weightMax / 8);
  }
}

/** Two flushes of what this one holds; undefined when it cannot be divided. */
export function halves({ batches, letters, lost = [] }: Flush): readonly [Flush, Flush] | undefined {
  if (batches.length > 0 && letters.length + lost.length > 0) {
    return [
      { batches: [], letters, lost },
      { batches, letters: [] },
    ];
  }
  if (letters.length > 0 && lost.length > 0) {
    return [
      { batches: [], letters: [], lost },
      { batches: [], letters },
    ];
  }
  const size = Math.max(batches.length, letters.length, lost.length);
  if (size < 2) return undefined;
  const middle = size >> 1;
  const part = (start: number, end: number): Flush => ({
    batches: batches.slice(start, end),
    letters: letters.slice(start, end),
    lost: lost.slice(start, end),
  });
  return [part(0, middle), part(middle, size)];
}

/** Whether PostgreSQL ended a statement because it took too long, the wait for a lock included, or was told to. */
export function isTooSlow(error: unknown): boolean {
  return error instanceof DatabaseError && error.code === queryCanceled;
}

const queryCanceled = "57014";

/** In rows, about. */
function weightOf({ batches, letters, lost = [] }: Flush): number {
  const records = batches.reduce((sum, { scanned }) => sum + Math.max(1, scanned.recordCount), 0);
  return records + letters.length + lost.length;
}
