import assert from "node:assert/strict";
import { test } from "node:test";
import { Client } from "pg";
import { createRegistry } from "#lib/metrics.ts";
import { dayMs, ensurePartitions, partitionName } from "#postgres/partitions.ts";
import { createDatabase } from "#postgres/pool.ts";
import { confirmRequest, openRequest } from "#postgres/retention-requests.ts";
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
import { expire } from "./retention.ts";
import type { RetentionDays } from "./retention-days.ts";

// Days for which no clock creates partitions; retention uses them as the time of PostgreSQL's clock.
const now = new Date("2031-06-30T12:00:00Z");
const atNow = async () => now;
const forEver: RetentionDays = { records: 0, ledger: 0, statistics: 0, deadLetters: 0, incidents: 0 };

async function partsFor(fixture: Fixture, days: Partial<RetentionDays>) {
  const pool = openTestPool(fixture);
  const metrics = createMetrics(createRegistry("consumer"));
  const parts = {
    pool,
    days: { ...forEver, ...days },
    metrics,
    logger,
    signal: new AbortController().signal,
  };
  const writer = createTransaction(pool);
  await fixture.dropDays();
  await ensurePartitions(createDatabase(pool), { now, daysAhead: 1, daysBack: 12 });
  /** Stores a batch of three records that arrived this many days ago, in a session per day. */
  const storeFrom = async (daysAgo: number, session = `boot-${daysAgo}`) => {
    const receivedAtMicros = (now.getTime() - daysAgo * dayMs) * 1000;
    const entry = makeEntry(1, records(3), { sessionId: session, receivedAtMicros });
    const taken = decodeDelivery({ shard: 0, id: "1-0", entry });
    assert.ok(isBatch(taken));
    return await writer.commit({ batches: [taken], deadLetters: [] });
  };
  return { parts, metrics, storeFrom };
}

/** Runs rounds until nothing is left; each drops ten partitions. */
async function expireAll(parts: Parameters<typeof expire>[0]): Promise<string> {
  for (;;) {
    const round = await expire(parts, atNow);
    if (round !== "more") return round;
  }
}

/** Runs a round that asks, confirms it, and continues. */
async function expireConfirmed(parts: Parameters<typeof expire>[0]): Promise<string> {
  assert.equal(await expire(parts, atNow), "asks");
  const db = createDatabase(parts.pool);
  assert.ok(await confirmRequest(db, (await openRequest(db))?.id ?? 0));
  return expireAll(parts);
}

function daysOfRecords(fixture: Fixture): Promise<string[]> {
  return fixture
    .rows("select distinct tableoid::regclass::text as name from record_batches order by 1")
    .then((rows) => rows.map(({ name }) => String(name)));
}

async function daysOfSummaries(fixture: Fixture): Promise<string[]> {
  const rows = await fixture.rows(
    "select first_id >> 20 as ms from search_summaries where slice = 0 order by 1",
  );
  return rows.map(({ ms }) => partitionName(Number(ms)));
}

function nameFrom(daysAgo: number): string {
  return partitionName(now.getTime() - daysAgo * dayMs);
}

test("drops the days before the last RETENTION_DAYS, and keeps their batches in the ledger", async () => {
  await using fixture = await createFixture();
  const { parts, metrics, storeFrom } = await partsFor(fixture, { records: 3, ledger: 6 });
  for (const daysAgo of [10, 5, 4, 3, 0]) await storeFrom(daysAgo);
  assert.equal(await expireConfirmed(parts), "done");
  assert.deepEqual(await daysOfRecords(fixture), [nameFrom(3), nameFrom(0)]);
  assert.deepEqual(await daysOfSummaries(fixture), [nameFrom(3), nameFrom(0)]);
  const partitions = await fixture.rows(
    "select from pg_inherits where inhparent = 'record_batches'::regclass",
  );
  assert.equal(partitions.length, 3 + 1 + 1 + 1, "three days, today, tomorrow and the default");
  const sessions = "select session_id from sessions order by session_id";
  const kept = ["boot-0", "boot-3", "boot-4", "boot-5"];
  assert.deepEqual(
    (await fixture.rows(sessions)).map(({ session_id }) => session_id),
    kept,
  );
  assert.equal(await fixture.count("batches"), kept.length);
  assert.equal((await metrics.droppedPartitions.get()).values[0]?.value, 9);
  assert.ok(((await metrics.droppedBytes.get()).values[0]?.value ?? 0) > 0);
  assert.equal(await expire(parts, atNow), "done", "again, and nothing is left to do");
});

test("without settings nothing is ever removed", async () => {
  await using fixture = await createFixture();
  const { parts, storeFrom } = await partsFor(fixture, {});
  await storeFrom(11);
  assert.equal(await expire(parts, async () => new Date(now.getTime() + 10_000 * dayMs)), "done");
  assert.equal(await fixture.count("logs"), 3);
});

test("a late batch of a dropped day is stored, found and counted, and removed by the next round", async () => {
  await using fixture = await createFixture();
  const { parts, storeFrom } = await partsFor(fixture, { records: 3, ledger: 6 });
  await expire(parts, atNow);
  await storeFrom(0);
  assert.equal((await storeFrom(5, "late")).records, 3);
  assert.deepEqual(await daysOfRecords(fixture), [nameFrom(0), "record_batches_default"]);
  assert.equal(await fixture.count("logs"), 6);
  assert.deepEqual(await fixture.rows("select sum(record_count)::int from log_statistics"), [{ sum: 6 }]);
  assert.equal(await expire(parts, atNow), "done");
  assert.equal(await fixture.count("logs"), 3);
  assert.equal(
    (await storeFrom(5, "late")).duplicateBatches,
    1,
    "its retry is recognised as long as the ledger has it",
  );
});

test("a retry that is older than the ledger is stored again, once", async () => {
  await using fixture = await createFixture();
  const { parts, storeFrom } = await partsFor(fixture, { records: 1, ledger: 2 });
  await storeFrom(0);
  await storeFrom(5);
  assert.equal(await expireAll(parts), "done");
  assert.equal((await storeFrom(5)).batches, 1);
  assert.equal((await storeFrom(5)).duplicateBatches, 1);
});

test("statistics, dead letters, drops and incidents have retention settings of their own", async () => {
  await using fixture = await createFixture();
  const { parts } = await partsFor(fixture, {
    records: 1,
    ledger: 2,
    statistics: 3,
    deadLetters: 4,
    incidents: 5,
  });
  for (const daysAgo of [2.4, 3.4, 4.4, 5.4, 6.4]) {
    const at = `timestamptz '${now.toISOString()}' - ${daysAgo} * interval '1 day'`;
    await fixture.rows(`insert into log_statistics values (date_trunc('minute', ${at}), 9, 1)`);
    await fixture.rows(`insert into device_statistics values (date_trunc('hour', ${at}), 1, 1, 1, 0, 0, 1)`);
    await fixture.rows(`insert into dead_letters (at, reason, raw, raw_bytes) values (${at}, '', '', 0)`);
    await fixture.rows(`insert into incidents (at, kind, details) values (${at}, '', '{}')`);
    await fixture.rows(`insert into drops values (next_batch_id(${at}), 1, 's', 1, 1, '', ${at})`);
  }
  assert.equal(await expireConfirmed(parts), "done");
  const tables = ["drops", "log_statistics", "device_statistics", "dead_letters", "incidents"];
  const counts: number[] = [];
  for (const table of tables) counts.push(await fixture.count(table));
  assert.deepEqual(counts, [1, 2, 2, 3, 4]);
});

test("dropping a partition gives up quickly while a long query runs, so that flushes continue, and succeeds after it", async () => {
  await using fixture = await createFixture();
  const { parts, storeFrom } = await partsFor(fixture, { records: 3 });
  const reader = new Client({ connectionString: fixture.databaseUrl });
  await reader.connect();
  await reader.query("begin; select count(*) from records");
  const round = expire(parts, atNow);
  await waitFor("the drop to wait for the query", async () => {
    const waiting = await fixture.rows(
      "select from pg_stat_activity where query like 'drop table%' and wait_event_type = 'Lock'",
    );
    return waiting.length > 0;
  });
  assert.equal((await storeFrom(0)).batches, 1);
  await reader.query("commit");
  await reader.end();
  assert.equal(await round, "done");
  assert.deepEqual(await fixture.rows(`select to_regclass('${nameFrom(4)}') as dropped`), [
    { dropped: null },
  ]);
});

test("one consumer removes rows at a time; the others skip the round", async () => {
  await using fixture = await createFixture();
  const { parts, storeFrom } = await partsFor(fixture, { records: 3 });
  await storeFrom(0);
  await storeFrom(5);
  const holder = new Client({ connectionString: fixture.databaseUrl });
  await holder.connect();
  await holder.query("select pg_advisory_lock(hashtextextended('fleetlog retention', 0))");
  assert.equal(await expire(parts, atNow), "elsewhere");
  assert.equal(await fixture.count("logs"), 6);
  await holder.end();
  await waitFor("the lock to be free", async () => (await expire(parts, atNow)) === "done");
  assert.equal(await fixture.count("logs"), 3);
});

test("a row that another transaction has locked is left for the next round", async () => {
  await using fixture = await createFixture();
  const { parts, storeFrom } = await partsFor(fixture, { records: 1, ledger: 2 });
  for (const daysAgo of [0, 4, 5]) await storeFrom(daysAgo);
  const holder = new Client({ connectionString: fixture.databaseUrl });
  await holder.connect();
  fixture.stack.defer(() => holder.end());
  await holder.query("begin; select from batches where session_id = 'boot-5' for update");
  assert.equal(await expireConfirmed(parts), "done");
  assert.equal(await fixture.count("batches"), 2);
  await holder.query("commit");
  assert.equal(await expireAll(parts), "done");
  assert.equal(await fixture.count("batches"), 1);
});
