import assert from "node:assert/strict";
import { test } from "node:test";
import { type Kysely, sql } from "kysely";
import { createDatabase } from "#postgres/pool.ts";
import type { Database } from "#postgres/tables.ts";
import { waitFor } from "#test/support/wait-for.ts";
import { decodeDelivery, isBatch, type ReceivedBatch } from "../received-batch.ts";
import { createFixture, type Fixture, makeEntry, openTestPool, records } from "../testing/fixture.ts";
import { insertNewBatches } from "./batches.ts";
import { DeviceKeys } from "./devices.ts";
import { settleSessions } from "./sessions.ts";

/** Batches 1 to 3, each in a session of its own. */
const batches = [1, 2, 3].map((sequence): ReceivedBatch => {
  const entry = makeEntry(sequence, records(1), { sessionId: `boot-${sequence}` });
  const taken = decodeDelivery({ shard: 0, id: `${sequence}-0`, entry });
  assert(isBatch(taken));
  return taken;
});

/** Three transactions at once, and the key of the device. */
async function begin(fixture: Fixture) {
  const pool = openTestPool(fixture);
  const db = createDatabase(pool);
  const keys = await new DeviceKeys(pool).resolve(
    db,
    batches.map(({ entry }) => entry),
  );
  const transactions = await Promise.all([1, 2, 3].map(() => db.startTransaction().execute()));
  const [holder, waiting, other] = transactions;
  assert(holder && waiting && other);
  await sql`set local lock_timeout = '10s'`.execute(other);
  const isWaiting = () =>
    waitFor("the second transaction to wait", async () => {
      const { length } = await fixture.rows(
        "select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'",
      );
      return length === 1;
    });
  return { keys, holder, waiting, other, isWaiting };
}

type Lock = (
  db: Kysely<Database>,
  batches: readonly ReceivedBatch[],
  deviceKeys: ReadonlyMap<string, number>,
) => Promise<unknown>;

const locks: Readonly<Record<string, Lock>> = {
  "the ledger": insertNewBatches,
  sessions: (db, batches, deviceKeys) => settleSessions(db, batches, [], deviceKeys),
};

// A transaction that waits for the second of three rows has locked the first, and must not have locked the third.
for (const [what, lock] of Object.entries(locks)) {
  test(`rows of ${what} are locked in the order of their keys, whatever the order of the batches`, async () => {
    await using fixture = await createFixture();
    const { keys, holder, waiting, other, isWaiting } = await begin(fixture);
    await lock(holder, batches.slice(1, 2), keys);
    const waits = lock(waiting, batches.toReversed(), keys);
    try {
      await isWaiting();
      await lock(other, batches.slice(2), keys);
    } finally {
      for (const transaction of [other, holder]) await transaction.rollback().execute();
      await waits;
      await waiting.rollback().execute();
    }
  });
}
