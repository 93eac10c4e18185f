import type { Kysely } from "kysely";
import type { Pool } from "pg";
import type { Readiness } from "#lib/readiness.ts";
import { ensurePartitions } from "#postgres/partitions.ts";
import type { Database } from "#postgres/tables.ts";
import type { StreamRedis } from "#stream/connection.ts";
import { readLag } from "#stream/lag.ts";
import type { Config } from "../config.ts";
import type { ConsumerMetrics } from "../metrics.ts";
import { closePartitions } from "./closed-partitions.ts";
import { measureDatabase, measurePartitions } from "./gauges.ts";
import { createMerge } from "./merge-summaries.ts";
import { createRetention } from "./retention.ts";
import { repeat, type Schedule } from "./schedule.ts";

const createIntervalMs = 3_600_000;
/** How soon a confirmation is noticed. */
const retentionIntervalMs = 15_000;
const closingIntervalMs = 300_000;
const mergeIntervalMs = 60_000;
const measureIntervalMs = 60_000;
/** Less often than the others: it reads every row of devices. */
const databaseIntervalMs = 120_000;
/** Above this lag closing days waits, because records must become readable first. */
const behindAfterMs = 30_000;

/** Pool settings for maintenance: a statement may run for hours, and two run at a time. */
export const maintenancePool = {
  applicationName: "fleetlog-maintenance",
  connectionsMax: 2,
  statementTimeoutMs: 12 * 3_600_000,
};

/** Creates partitions ahead until the signal. Resolves once they exist, or on the signal. */
export async function keepPartitions(
  options: Schedule & { readonly db: Kysely<Database>; readonly readiness: Readiness },
): Promise<void> {
  const { db, readiness, signal } = options;
  const created = Promise.withResolvers<void>();
  repeat(options, "create partitions", createIntervalMs, async () => {
    try {
      await ensurePartitions(db);
    } catch (error) {
      // A later failure leaves a week to fix it, and the default partition after that.
      readiness.notReady("partitions", (error as Error).message);
      throw error;
    }
    readiness.ready("partitions");
    created.resolve();
  });
  signal.addEventListener("abort", () => created.resolve(), { once: true });
  await created.promise;
}

export interface PartitionMaintenanceOptions extends Schedule {
  readonly config: Pick<Config, "retentionDays">;
  readonly db: Kysely<Database>;
  /** See {@link maintenancePool}. PostgreSQL finishes a statement in flight when the consumer ends. */
  readonly pool: Pool;
  readonly redis: StreamRedis;
  readonly shards: readonly number[];
  readonly metrics: ConsumerMetrics;
}

/** Closes days, merges search summaries, removes what retention no longer keeps, and measures partitions and sizes. */
export function startPartitionMaintenance(options: PartitionMaintenanceOptions): void {
  const { config, db, redis, shards, metrics } = options;
  const closing = {
    ...options,
    async isBehind() {
      const lags = await readLag(redis, shards);
      return lags.some(({ oldestAgeMs }) => oldestAgeMs > behindAfterMs);
    },
  };
  const measures = {
    metrics,
    retentionDays: config.retentionDays.records,
  };
  const applyRetention = createRetention({ ...options, days: config.retentionDays });
  repeat(options, "close days", closingIntervalMs, () => closePartitions(closing));
  const merge = createMerge(closing);
  repeat(options, "merge search summaries", mergeIntervalMs, () => merge());
  repeat(options, "apply retention", retentionIntervalMs, applyRetention);
  repeat(options, "measure partitions", measureIntervalMs, () => measurePartitions(db, measures));
  repeat(options, "measure the database", databaseIntervalMs, () => measureDatabase(db, metrics));
}
