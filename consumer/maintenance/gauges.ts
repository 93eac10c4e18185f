import { type Kysely, sql } from "kysely";
import { databaseTime } from "#postgres/database-time.ts";
import { listDayPartitions } from "#postgres/day-partitions.ts";
import { dayMs, partitionsAhead } from "#postgres/partitions.ts";
import { openRequest } from "#postgres/retention-requests.ts";
import type { Database } from "#postgres/tables.ts";
import type { StreamRedis } from "#stream/connection.ts";
import { readMemory } from "#stream/memory.ts";
import type { ConsumerMetrics } from "../metrics.ts";
import { closedPartitions } from "./closed-partitions.ts";

/*
 * Gauges that are read at intervals. All consumers report the same values: aggregate by max, not by sum.
 */

/** Measures the memory that Redis uses and may use. Servers refuse batches near the limit. */
export async function measureMemory(redis: StreamRedis, metrics: ConsumerMetrics): Promise<void> {
  const { usedBytes, bytesMax } = await readMemory(redis);
  metrics.redisMemory.set(usedBytes);
  metrics.redisMemoryMax.set(bytesMax);
}

/** Measures the day partitions by state, and when the oldest is dropped. */
export async function measurePartitions(
  db: Kysely<Database>,
  { metrics, retentionDays }: PartitionMeasures,
  now?: Date,
): Promise<void> {
  const partitions = await listDayPartitions(db);
  const closed = closedPartitions(partitions, now ?? (await databaseTime(db)));
  metrics.partitions.set({ state: "open" }, partitions.length - closed.length);
  metrics.partitions.set({ state: "closed" }, closed.length);
  const [oldest] = partitions;
  const isKept = retentionDays === 0 || oldest === undefined;
  const request = await openRequest(db);
  const waiting =
    request && !request.isConfirmed ? Math.max(...request.plan.map(({ days }) => days.length)) : 0;
  metrics.retentionWaits.set(waiting);
  metrics.nextDrop.set(isKept ? Number.NaN : (oldest.endMs + retentionDays * dayMs) / 1000);
}

export interface PartitionMeasures {
  readonly metrics: Pick<ConsumerMetrics, "partitions" | "nextDrop" | "retentionWaits">;
  readonly retentionDays: number;
}

/** Measures the size of the database, the partitions ahead and the devices. Reads all rows of devices. */
export async function measureDatabase(db: Kysely<Database>, metrics: ConsumerMetrics): Promise<void> {
  metrics.partitionsAhead.set(await partitionsAhead(db));
  const { rows } = await sql<{ bytes: string; seen_hour: string; seen_day: string; seen: string }>`
    select
      pg_database_size(current_database()) as bytes,
      count(*) filter (where last_seen > now() - interval '1 hour') as seen_hour,
      count(*) filter (where last_seen > now() - interval '1 day') as seen_day,
      count(*) as seen
    from devices`.execute(db);
  const [found] = rows;
  if (found === undefined) throw new Error("an aggregate returned no row");
  metrics.databaseBytes.set(Number(found.bytes));
  metrics.devices.set({ seen: "1h" }, Number(found.seen_hour));
  metrics.devices.set({ seen: "1d" }, Number(found.seen_day));
  metrics.devices.set({ seen: "ever" }, Number(found.seen));
}
