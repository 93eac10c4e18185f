import { DatabaseError } from "pg";
import type { Flush } from "./transaction.ts";

/**
 * Limits how much one transaction stores while PostgreSQL is too slow for a whole flush: half of what did not finish
 * within STATEMENT_TIMEOUT_MS, and an eighth more with each success. There is no limit before the first timeout.
 * Doubling instead would meet the timeout again with every second flush.
 */
export class AdaptiveFlushLimit {
  #weightMax = Number.POSITIVE_INFINITY;

  isTooLarge(flush: Flush): boolean {
    return flushWeight(flush) > this.#weightMax;
  }

  /** Two flushes that met the same slow moment halve the limit once. It never falls below a single row. */
  onTimeout(flush: Flush): void {
    this.#weightMax = Math.min(this.#weightMax, Math.max(1, flushWeight(flush) >> 1));
  }

  /** Only a flush near the limit shows that more would fit. */
  onStored(flush: Flush): void {
    if (flushWeight(flush) * 2 > this.#weightMax) this.#weightMax += Math.ceil(this.#weightMax / 8);
  }
}

/** Splits a flush in two; undefined when it holds a single item. */
export function splitFlush({ batches, deadLetters, lost = [] }: Flush): readonly [Flush, Flush] | undefined {
  if (batches.length > 0 && deadLetters.length + lost.length > 0) {
    return [
      { batches: [], deadLetters, lost },
      { batches, deadLetters: [] },
    ];
  }
  if (deadLetters.length > 0 && lost.length > 0) {
    return [
      { batches: [], deadLetters: [], lost },
      { batches: [], deadLetters },
    ];
  }
  const size = Math.max(batches.length, deadLetters.length, lost.length);
  if (size < 2) return undefined;
  const middle = size >> 1;
  const part = (start: number, end: number): Flush => ({
    batches: batches.slice(start, end),
    deadLetters: deadLetters.slice(start, end),
    lost: lost.slice(start, end),
  });
  return [part(0, middle), part(middle, size)];
}

/** True when PostgreSQL canceled a statement: it took too long, waited too long for a lock, or was canceled. */
export function isTimeout(error: unknown): boolean {
  return error instanceof DatabaseError && error.code === queryCanceled;
}

const queryCanceled = "57014";

/** About the number of rows. */
function flushWeight({ batches, deadLetters, lost = [] }: Flush): number {
  const records = batches.reduce((sum, { scanned }) => sum + Math.max(1, scanned.recordCount), 0);
  return records + deadLetters.length + lost.length;
}
