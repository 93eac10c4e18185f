import { setTimeout as sleep } from "node:timers/promises";
import type { StoredRecords } from "#bench/stored/stored-records.ts";

const pollMs = 20;

/**
 * Records when the last record was stored while another process sends, to compute the time from the last
 * acknowledgement to the last row.
 */
export class StoredWatch {
  readonly #stored: StoredRecords;
  #count = 0;
  /** Of Date.now(). */
  #changedAtMs = Date.now();

  constructor(stored: StoredRecords) {
    this.#stored = stored;
  }

  get count(): number {
    return this.#count;
  }

  get changedAtMs(): number {
    return this.#changedAtMs;
  }

  /** Polls until `stop` aborts. */
  async watch(stop: AbortSignal): Promise<void> {
    while (!stop.aborted) {
      await this.#poll();
      await sleep(pollMs);
    }
  }

  /** Waits for `target` records; gives up when no more come for `stallMs`. */
  async until(target: number, stallMs: number): Promise<void> {
    const since = Date.now();
    while (this.#count < target && Date.now() - Math.max(since, this.#changedAtMs) < stallMs) {
      await this.#poll();
      await sleep(pollMs);
    }
  }

  async #poll(): Promise<void> {
    const count = await this.#stored.count();
    if (count === this.#count) return;
    this.#count = count;
    this.#changedAtMs = Date.now();
  }
}
