import { setTimeout as sleep } from "node:timers/promises";
import type { Readiness } from "#lib/readiness.ts";
import type { Reader } from "./database.ts";

/**
 * Keeps the part "database" of the readiness current until `signal` aborts: ready while PostgreSQL answers and has
 * the tables and columns that the queries read, which a migration that did not run yet has not.
 */
export async function watchDatabase(
  reader: Reader,
  readiness: Readiness,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    try {
      await reader.read("ready", signal, async (db) => {
        await db
          .selectFrom("records")
          .innerJoin("batches", "batches.id", "records.batch_id")
          .innerJoin("devices", "devices.key", "batches.device_key")
          .select(["records.idx", "records.attributes", "batches.severities", "devices.dead_letter_count"])
          .limit(0)
          .execute();
      });
      readiness.ready("database");
    } catch (error) {
      if (!signal.aborted)
        readiness.notReady("database", error instanceof Error ? error.message : String(error));
    }
    await sleep(checkIntervalMs, undefined, { signal }).catch(() => {
      // Aborted: the loop's condition says so too.
    });
  }
}

const checkIntervalMs = 1000;
