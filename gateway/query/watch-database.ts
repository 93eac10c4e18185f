import { setTimeout as sleep } from "node:timers/promises";
import { sql } from "kysely";
import type { Readiness } from "#lib/readiness.ts";
import { selectMicros } from "../fields/time.ts";
import type { ReadPool } from "./read-pool.ts";

/**
 * Keeps the part "database" of the readiness current until `signal` aborts: ready while PostgreSQL answers and
 * has the tables and columns of the queries, which it lacks before a migration. Also sets the clock of the read
 * pool: a gateway whose own clock is behind would omit the newest records.
 */
export async function watchDatabase(
  readPool: ReadPool,
  readiness: Readiness,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    try {
      await readPool.read("ready", { client: "gateway", signal }, async (db) => {
        await db
          .selectFrom("records")
          .innerJoin("batches", "batches.id", "records.batch_id")
          .innerJoin("devices", "devices.key", "batches.device_key")
          .select(["records.idx", "records.attributes", "batches.severities", "devices.clock_offset_micros"])
          .limit(0)
          .execute();
        const { rows } = await sql<{ micros: string }>`
          select ${selectMicros(sql`clock_timestamp()`)} as micros`.execute(db);
        if (rows[0] !== undefined) readPool.setClock(BigInt(rows[0].micros));
      });
      readiness.ready("database");
    } catch (error) {
      if (!signal.aborted)
        readiness.notReady("database", error instanceof Error ? error.message : String(error));
    }
    await sleep(checkIntervalMs, undefined, { signal }).catch(() => {
      // Aborted: the loop's condition ends it.
    });
  }
}

const checkIntervalMs = 1000;
