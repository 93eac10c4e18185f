import type { Redis } from "ioredis";
import type { Logger } from "#lib/logger.ts";
import type { StreamPosition } from "#stream/epoch.ts";
import { pushReport, type UnconfirmedReport } from "#stream/unconfirmed.ts";
import type { RecentAppends } from "./recent-appends.ts";

/**
 * Reports the batches that may be lost whenever a shard is served by another Redis process than before, since that may
 * have started on an older copy of the data. A report that Redis does not accept is retried at the next call.
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

  /** Call with the current positions, before batches are accepted. Never rejects. */
  async observe(positions: readonly StreamPosition[]): Promise<void> {
    for (const { shard, process, storedBefore } of positions) {
      const before = this.#processes.get(shard) ?? process;
      this.#processes.set(shard, process);
      const report = before === process ? undefined : this.#appends.report(shard);
      if (report !== undefined) this.#waiting.set(shard, report);
      // After another history an id does not say what is stored.
      else if (!this.#waiting.has(shard)) this.#appends.forgetStored(shard, storedBefore);
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
