import type { Redis } from "ioredis";
import type { Logger } from "#lib/logger.ts";
import type { StreamPosition } from "#stream/epoch.ts";
import { pushReport, type UnconfirmedReport } from "#stream/unconfirmed.ts";
import type { RecentAppends } from "./recent-appends.ts";

/**
 * Reports what this server appended and may be lost, whenever a shard is held by another process of Redis than before:
 * that may have begun on an older copy of the data. What Redis does not take yet is tried again at the next call.
 */
export class UnconfirmedReports {
  readonly #redis: Pick<Redis, "rpush" | "ltrim">;
  readonly #appends: RecentAppends;
  readonly #logger: Logger;
  readonly #processes = new Map<number, string>();
  readonly #waiting = new Map<number, UnconfirmedReport>();

  constructor(redis: Pick<Redis, "rpush" | "ltrim">, appends: RecentAppends, logger: Logger) {
    this.#redis = redis;
    this.#appends = appends;
    this.#logger = logger;
  }

  /** Call with what Redis says now, before batches are accepted. Never rejects. */
  async observe(positions: readonly StreamPosition[]): Promise<void> {
    for (const { shard, process, storedBefore } of positions) {
      const before = this.#processes.get(shard) ?? process;
      this.#processes.set(shard, process);
      const report = before === process ? undefined : this.#appends.report(shard);
      if (report !== undefined) this.#waiting.set(shard, report);
      // In another history an id says nothing of what is stored.
      else if (!this.#waiting.has(shard)) this.#appends.stored(shard, storedBefore);
    }
    await Promise.all([...this.#waiting].map(([shard, report]) => this.#push(shard, report)));
  }

  async #push(shard: number, report: UnconfirmedReport): Promise<void> {
    try {
      await pushReport(this.#redis, shard, report);
      if (this.#waiting.get(shard) === report) this.#waiting.delete(shard);
    } catch (error) {
      const batches = report.batches.length;
      this.#logger.warn({ err: error, shard, batches }, "could not report possibly lost batches, retrying");
    }
  }
}
