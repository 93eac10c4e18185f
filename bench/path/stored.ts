import { setTimeout as sleep } from "node:timers/promises";
import type { Client } from "pg";

/** How many records the system has committed in all; a handful of rows, so asking often costs nothing. */
export async function storedRecords(client: Client): Promise<number> {
  const { rows } = await client.query<{ count: string }>(
    "select coalesce(sum(record_count), 0)::text as count from devices",
  );
  return Number(rows[0]?.count);
}

/** Waits until `target` records are stored; throws when nothing new is stored for ten seconds. */
export async function untilStored(client: Client, target: number): Promise<void> {
  let last = -1;
  let progressAt = performance.now();
  for (;;) {
    const stored = await storedRecords(client);
    if (stored === target) return;
    if (stored > target) throw new Error(`${stored} records are stored, only ${target} were sent`);
    if (stored > last) [last, progressAt] = [stored, performance.now()];
    else if (performance.now() - progressAt > 10_000) {
      throw new Error(`no progress for 10 s: ${stored} of ${target} records are stored`);
    }
    await sleep(5);
  }
}

/**
 * Empties the tables that grow with the records, so that each round starts equal, and leaves no
 * checkpoint for the next one.
 */
export async function emptyTables(client: Client): Promise<void> {
  await client.query("truncate record_batches, batches, log_statistics, device_statistics");
  await client.query("checkpoint");
}
