import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import { createRegistry } from "#lib/metrics.ts";
import { dayMs, ensurePartitions, partitionName } from "#postgres/partitions.ts";
import { createDatabase } from "#postgres/pool.ts";
import { confirmRequest, openRequest } from "#postgres/retention-requests.ts";
import { shiftedClock } from "#test/support/shifted-clock.ts";
import { waitFor } from "#test/support/wait-for.ts";
import { createMetrics } from "../metrics.ts";
import { decodeDelivery, isBatch } from "../received-batch.ts";
import {
  createFixture,
  createTransaction,
  type Fixture,
  logger,
  makeEntry,
  openTestPool,
  records,
} from "../testing/fixture.ts";
import { startProgram } from "../testing/program.ts";
import { measurePartitions } from "./gauges.ts";
import { expire } from "./retention.ts";

const fleetlog = join(import.meta.dirname, "../../dead-letters/main.ts");

/** A consumer's retention of three days (the ledger's of six), and batches that arrived on several days. */
async function partsFor(fixture: Fixture, daysOfBatches: readonly number[]) {
  const pool = openTestPool(fixture);
  const db = createDatabase(pool);
  const metrics = createMetrics(createRegistry("consumer"));
  const days = { records: 3, ledger: 6, statistics: 0, deadLetters: 0, incidents: 0 };
  const parts = { pool, days, metrics, logger, signal: new AbortController().signal };
  await ensurePartitions(db, { daysBack: 12 });
  const writer = createTransaction(pool);
  const storeFrom = async (daysAgo: number) => {
    const receivedAtMicros = (Date.now() - daysAgo * dayMs) * 1000;
    const taken = decodeDelivery({
      shard: 0,
      id: "1-0",
      entry: makeEntry(1, records(3), { sessionId: `boot-${daysAgo}`, receivedAtMicros }),
    });
    assert.ok(isBatch(taken));
    await writer.commit({ batches: [taken], deadLetters: [] });
  };
  for (const daysAgo of daysOfBatches) await storeFrom(daysAgo);
  /** The output of the fleetlog command. */
  const operate = async (...args: readonly string[]) => {
    const env = { PATH: "", DATABASE_URL: fixture.databaseUrl };
    return await promisify(execFile)(process.execPath, [fleetlog, "retention", ...args], { env }).catch(
      (error: { stdout: string; stderr: string; code: number }) => error,
    );
  };
  return { parts, db, metrics, storeFrom, operate };
}

const dayName = (daysAgo: number) => new Date(Date.now() - daysAgo * dayMs).toISOString().slice(0, 10);
const clockOff = (days: number) => async () => new Date(Date.now() + days * dayMs);

test("removes one expired day without asking", async () => {
  await using fixture = await createFixture();
  const { parts, operate } = await partsFor(fixture, [4, 3, 0]);
  assert.equal(await expire(parts), "done");
  assert.equal(await fixture.count("logs"), 6);
  assert.match((await operate()).stdout, /No request is pending/);
});

test("asks about several expired days at once, and removes exactly those once confirmed", async () => {
  await using fixture = await createFixture();
  const { parts, db, metrics, operate } = await partsFor(fixture, [8, 7, 5, 4, 3, 0]);
  assert.equal(await expire(parts), "asks");
  assert.equal(await expire(parts), "asks");
  assert.equal(await fixture.count("logs"), 18, "nothing is removed unasked");
  assert.equal(await fixture.count("retention_requests"), 1, "the same is asked once");
  await measurePartitions(db, { metrics, retentionDays: 3 });
  assert.equal((await metrics.retentionWaits.get()).values[0]?.value, 4);

  const { stdout } = await operate("show");
  assert.ok(stdout.includes(`records: 12 rows`), stdout);
  assert.ok(
    stdout.includes(`${dayName(8)} … ${dayName(7)} (2 days), ${dayName(5)} … ${dayName(4)} (2 days)`),
    stdout,
  );
  assert.ok(stdout.includes(`batches: 2 rows`), stdout);
  const id = (await openRequest(db))?.id ?? 0;
  const wrong = await operate("confirm", String(id + 1));
  assert.match(wrong.stderr, new RegExp(`request ${id + 1} is not pending: the pending request is ${id}`));
  assert.equal(await expire(parts), "asks");
  assert.match((await operate("confirm", String(id))).stdout, /records: 12 rows.*Confirmed/s);

  assert.equal(await expire(parts), "done");
  assert.equal(await fixture.count("logs"), 6);
  assert.equal(await fixture.count("batches"), 4);
  assert.match((await operate("confirm", String(id))).stderr, /no request is pending/);
  await measurePartitions(db, { metrics, retentionDays: 3 });
  assert.equal((await metrics.retentionWaits.get()).values[0]?.value, 0);
});

test("a confirmation covers only the days that were shown: other days are asked about again", async () => {
  await using fixture = await createFixture();
  const { parts, db, storeFrom } = await partsFor(fixture, [5, 4, 0]);
  assert.equal(await expire(parts), "asks");
  const first = (await openRequest(db))?.id ?? 0;
  assert.ok(await confirmRequest(db, first));
  for (const daysAgo of [11, 10]) await storeFrom(daysAgo);
  assert.equal(await expire(parts), "asks");
  assert.equal(await fixture.count("logs"), 15);
  assert.equal(await confirmRequest(db, first), false, "it was superseded");
});

test("removes nothing, not even a single day, when PostgreSQL's clock is far ahead or behind", async () => {
  await using fixture = await createFixture();
  const { parts, db } = await partsFor(fixture, [0]);
  for (const off of [1_000, 5]) {
    assert.equal(await expire(parts, clockOff(off)), "asks");
    assert.match(
      (await openRequest(db))?.reasons.join() ?? "",
      /the newest batch arrived at .* PostgreSQL's clock is/,
    );
  }
  assert.equal(await fixture.count("logs"), 3);
  assert.equal(await expire(parts), "done");
  assert.equal(await openRequest(db), undefined, "with the right clock it asks nothing");
  const back = { ...parts, days: { ...parts.days, incidents: 1 } };
  await fixture.rows(
    "insert into incidents (at, kind, details) values (now() - interval '9 days', '', '{}')",
  );
  assert.equal(await expire(back, clockOff(-5)), "asks");
  assert.match((await openRequest(db))?.reasons.join() ?? "", /the last round was at/);
  assert.equal(await fixture.count("incidents"), 1);
});

test("notices that all clocks jumped together, despite new batches from that future", async () => {
  await using fixture = await createFixture();
  const { parts, db, storeFrom } = await partsFor(fixture, [0]);
  assert.equal(await expire(parts), "done");
  await storeFrom(-1_000);
  assert.equal(await expire(parts, clockOff(1_000)), "asks");
  assert.match((await openRequest(db))?.reasons.join() ?? "", /the last round was at/);
  assert.equal(await fixture.count("logs"), 6);
});

test("a consumer whose own clock is 1,000 days ahead removes nothing and creates no partitions for that future", async () => {
  await using fixture = await createFixture();
  const { operate } = await partsFor(fixture, [2, 1, 0]);
  await fixture.rows(
    "insert into incidents (at, kind, details) values (now() - interval '2 days', '', '{}')",
  );
  const { logged } = await startProgram(fixture, { RETENTION_DAYS: "3", ...shiftedClock(1_000 * 86_400) });
  await logged("ready");
  await waitFor("a round of retention", async () => (await fixture.count("retention_clock")) === 1);
  assert.equal(await fixture.count("logs"), 9);
  assert.equal(await fixture.count("incidents"), 1);
  assert.match((await operate()).stdout, /No request is pending/);
  const future = partitionName(Date.now() + 1_000 * dayMs);
  assert.deepEqual(await fixture.rows(`select to_regclass('${future}') as made`), [{ made: null }]);
});
