import { type Kysely, sql } from "kysely";
import { partitionsAhead } from "#postgres/partitions.ts";
import type { Database } from "#postgres/tables.ts";
import type { StreamRedis } from "#stream/connection.ts";
import { memoryOf } from "#stream/memory.ts";
import type { ConsumerMetrics } from "./metrics.ts";

/*
 * What is not counted as it happens but looked up now and then. All consumers report the same: take the max, not the
 * sum.
 */

/** What Redis holds of what it may hold. Beyond that, servers refuse batches. */
export async function measureMemory(redis: StreamRedis, metrics: ConsumerMetrics): Promise<void> {
  const { usedBytes, bytesMax } = await memoryOf(redis);
  metrics.redisMemory.set(usedBytes);
  metrics.redisMemoryMax.set(bytesMax);
}

/** What is stored, and where the records of the next days will go. Reads all rows of devices. */
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
  if (found === undefined) throw new Error("an aggregate gave no row");
  metrics.databaseBytes.set(Number(found.bytes));
  metrics.devices.set({ seen: "1h" }, Number(found.seen_hour));
  metrics.devices.set({ seen: "1d" }, Number(found.seen_day));
  metrics.devices.set({ seen: "ever" }, Number(found.seen));
}
