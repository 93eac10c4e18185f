import type { Kysely } from "kysely";
import { databaseTime } from "#postgres/database-time.ts";
import { dayMs } from "#postgres/partitions.ts";
import type { Database } from "#postgres/tables.ts";
import type { ConsumerMetrics } from "../metrics.ts";

/** Between the clocks of a server and of PostgreSQL; what is further ahead has not been received yet. */
const aheadMsMax = 3_600_000;

/** Partitions are made so far ahead, so for as long batches may wait in Redis and find that of their day. */
const waitedMsMax = 7 * dayMs;

/**
 * Keeps `received_at` to times at which a batch can have been received, by the clock of PostgreSQL: a server that
 * lives in 1979 would have its batches stored in a day that retention removes next, and one that lives in 2040 in a day
 * that it never removes. In their place comes the time at which the consumer has them.
 */
export class ArrivalTimes {
  readonly #metrics: Pick<ConsumerMetrics, "unlikelyArrivals">;
  readonly #waitedMsMax: number;
  /** PostgreSQL's clock when our monotonic one was at 0. */
  #originMs = Number.NaN;

  /** `recordDays`: for how many days records are kept; 0: forever. Nothing is older than that when it is stored. */
  constructor(metrics: Pick<ConsumerMetrics, "unlikelyArrivals">, recordDays: number) {
    this.#metrics = metrics;
    this.#waitedMsMax = recordDays === 0 ? waitedMsMax : Math.min(recordDays * dayMs, waitedMsMax);
  }

  /** To be called before the first `plausible`, and now and then. */
  async measure(db: Kysely<Database>): Promise<void> {
    const time = await databaseTime(db);
    this.#originMs = time.getTime() - performance.now();
  }

  /** `micros`, or PostgreSQL's time when that cannot be. */
  plausible(micros: number): number {
    const nowMs = this.#originMs + performance.now();
    const waitedMs = nowMs - micros / 1_000;
    if (waitedMs <= this.#waitedMsMax && waitedMs >= -aheadMsMax) return micros;
    this.#metrics.unlikelyArrivals.inc();
    return Math.floor(nowMs) * 1_000;
  }
}
