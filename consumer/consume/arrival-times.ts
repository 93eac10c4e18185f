import type { Kysely } from "kysely";
import { databaseTime } from "#postgres/database-time.ts";
import { dayMs } from "#postgres/partitions.ts";
import type { Database } from "#postgres/tables.ts";
import type { ConsumerMetrics } from "../metrics.ts";

/** Accepted difference between the clocks of a server and of PostgreSQL; a time further ahead lies in the future. */
const aheadMsMax = 3_600_000;

/** Partitions exist this long ahead, so batches may wait in Redis for as long and still find that of their day. */
const waitedMsMax = 7 * dayMs;

/**
 * Replaces an implausible `received_at` by the current time of PostgreSQL's clock. Batches of a server whose clock shows
 * 1979 would be stored in a day that retention removes next, and those of one that shows 2040 in a day that it never
 * removes.
 */
export class ArrivalTimes {
  readonly #metrics: Pick<ConsumerMetrics, "unlikelyArrivals">;
  readonly #waitedMsMax: number;
  /** The time of PostgreSQL's clock at 0 of this process's monotonic clock. */
  #originMs = Number.NaN;

  /** `recordDays`: how many days records are kept; 0: forever. A batch older than that is implausible. */
  constructor(metrics: Pick<ConsumerMetrics, "unlikelyArrivals">, recordDays: number) {
    this.#metrics = metrics;
    this.#waitedMsMax = recordDays === 0 ? waitedMsMax : Math.min(recordDays * dayMs, waitedMsMax);
  }

  /** Call before the first `plausible`, and regularly after that. */
  async measure(db: Kysely<Database>): Promise<void> {
    const time = await databaseTime(db);
    this.#originMs = time.getTime() - performance.now();
  }

  /** Returns `micros`, or PostgreSQL's time when `micros` is implausible. */
  plausible(micros: number): number {
    const nowMs = this.#originMs + performance.now();
    const waitedMs = nowMs - micros / 1_000;
    if (waitedMs <= this.#waitedMsMax && waitedMs >= -aheadMsMax) return micros;
    this.#metrics.unlikelyArrivals.inc();
    return Math.floor(nowMs) * 1_000;
  }
}
