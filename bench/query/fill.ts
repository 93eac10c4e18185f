import type { Pool } from "pg";
import { copyBytesMax } from "#batch/copy-format.ts";
import { CopyRows } from "#batch/copy-rows.ts";
import { scan } from "#batch/scan.ts";
import { type FleetSize, fleetHistory } from "#bench/query/sample-fleet.ts";
import { FlushTransaction } from "#consumer/flush/transaction.ts";
import { closePartitions } from "#consumer/maintenance/closed-partitions.ts";
import type { ReceivedBatch } from "#consumer/received-batch.ts";
import { DeadLetterRate } from "#consumer/tables/dead-letter-rate.ts";
import { DeviceKeys } from "#consumer/tables/devices.ts";
import { createLogger } from "#lib/logger.ts";
import { ensurePartitions } from "#postgres/partitions.ts";
import { createDatabase } from "#postgres/pool.ts";

/**
 * Stores the history of a fleet with the consumer's own writer, so that ledger, devices, statistics and
 * sessions are realistic. Encodes one flush while it stores another; `pool` needs two connections.
 */
export async function fillHistory(
  pool: Pool,
  size: FleetSize,
  progress: (text: string) => void,
): Promise<void> {
  await ensurePartitions(createDatabase(pool), { now: new Date(size.endMs), daysBack: size.days + 1 });
  const keys = new DeviceKeys(pool);
  const deadLetterRate = new DeadLetterRate();
  const writers = [0, 1].map(
    () =>
      new FlushTransaction(
        pool,
        keys,
        new CopyRows(copyBytesMax(16 << 20, 2 * flushRecords)),
        deadLetterRate,
      ),
  );
  const inFlight: Promise<unknown>[] = [Promise.resolve(), Promise.resolve()];
  let batches: ReceivedBatch[] = [];
  let [records, stored, turn] = [0, 0, 0];
  const flush = async () => {
    await inFlight[turn];
    inFlight[turn] = writers[turn]!.commit({ batches, deadLetters: [] });
    stored += records;
    if (Math.floor(stored / 1_000_000) > Math.floor((stored - records) / 1_000_000)) {
      progress(`${(stored / 1e6).toFixed(0)} M records`);
    }
    turn = 1 - turn;
    [batches, records] = [[], 0];
  };
  for (const entry of fleetHistory(size)) {
    const scanned = scan(entry.batch);
    batches.push({ entryName: "fill", entry, scanned });
    records += scanned.acceptedCount;
    if (records >= flushRecords) await flush();
  }
  if (batches.length > 0) await flush();
  await Promise.all(inFlight);
}

/** Does what consumers do when days end, and what autovacuum would have done by then: day after day. */
export async function closeDays(
  pool: Pool,
  { endMs }: FleetSize,
  progress: (text: string) => void,
): Promise<void> {
  await closePartitions(
    {
      pool,
      isBehind: async () => false,
      logger: createLogger("bench", "warn"),
      signal: new AbortController().signal,
    },
    new Date(endMs),
  );
  await pool.query("vacuum (analyze)");
  progress("the days are closed");
}

const flushRecords = 20_000;
