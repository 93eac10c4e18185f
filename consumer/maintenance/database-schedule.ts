import type { Pool } from "pg";
import { readLag } from "#stream/lag.ts";
import type { Config } from "../config.ts";
import { closePartitions } from "./closed-partitions.ts";
import { measurePartitions } from "./gauges.ts";
import { createRetention } from "./retention.ts";
import { type HousekeepingParts, repeat } from "./schedule.ts";

/** How soon a confirmation is noticed. */
const retentionIntervalMs = 15_000;
const closingIntervalMs = 300_000;
const measureIntervalMs = 60_000;
/** Indexes can wait for records; records that are to be read now cannot. */
const behindAfterMs = 30_000;

/** How the pool of the upkeep differs from that of the flushes: one statement may take hours, and two run at a time. */
export const upkeepPool = {
  applicationName: "fleetlog-upkeep",
  connectionsMax: 2,
  statementTimeoutMs: 12 * 3_600_000,
};

/**
 * What is done to records long after they are stored, until the signal: days that are over get their indexes, and what
 * is older than it is kept for is removed. A statement under way when the consumer ends is finished by PostgreSQL.
 */
export function startUpkeep(
  parts: HousekeepingParts,
  pool: Pool,
  { retentionDays, closedDayIndexes, INDEX_MEMORY_MEBIBYTES }: Config,
): void {
  const { redis, shards, metrics } = parts;
  const isBehind = async () => {
    const lags = await readLag(redis, shards);
    return lags.some(({ oldestAgeMs }) => oldestAgeMs > behindAfterMs);
  };
  const closing = {
    ...parts,
    pool,
    indexes: closedDayIndexes,
    memoryMebibytes: INDEX_MEMORY_MEBIBYTES,
    isBehind,
  };
  const measures = { metrics, retentionDays: retentionDays.records, indexes: closedDayIndexes };
  repeat(parts, "close days", closingIntervalMs, () => closePartitions(closing));
  const retention = createRetention({ ...parts, pool, days: retentionDays });
  repeat(parts, "remove what is too old", retentionIntervalMs, retention);
  repeat(parts, "measure partitions", measureIntervalMs, () => measurePartitions(parts.db, measures));
}
