import assert from "node:assert/strict";
import { test } from "node:test";
import { createRegistry } from "#lib/metrics.ts";
import { dayMs, ensurePartitions, firstBatchIdAt } from "#postgres/partitions.ts";
import { createDatabase } from "#postgres/pool.ts";
import { storeRecords } from "#postgres/testing/store-records.ts";
import { createMetrics } from "../metrics.ts";
import { createFixture, type Fixture, logger, openTestPool } from "../testing/fixture.ts";
import { type ClosedPartitionsOptions, closePartitions } from "./closed-partitions.ts";
import { measurePartitions } from "./gauges.ts";

// In the past, because a day is closed once it was vacuumed after its end.
const now = new Date("2021-06-30T12:00:00Z");
const yesterdayMs = Date.UTC(2021, 5, 29);

async function prepare(fixture: Fixture, changes: Partial<ClosedPartitionsOptions> = {}) {
  const pool = openTestPool(fixture);
  const db = createDatabase(pool);
  await fixture.dropDays();
  await ensurePartitions(db, { now, daysAhead: 1, daysBack: 2 });
  const options: ClosedPartitionsOptions = {
    pool,
    isBehind: async () => false,
    logger,
    signal: new AbortController().signal,
    ...changes,
  };
  /** The days that were vacuumed. */
  const vacuumed = async () =>
    (
      await fixture.rows(
        `select right(relname, 8) as day from pg_stat_user_tables
        where relname ~ '^record_batches_\\d' and last_vacuum is not null order by 1`,
      )
    ).map(({ day }) => day);
  return { options, db, vacuumed };
}

test("vacuums closed days once, and no open days", async () => {
  await using fixture = await createFixture();
  const { options, vacuumed } = await prepare(fixture);
  await closePartitions(options, new Date("2021-06-30T00:30:00Z"));
  assert.deepEqual(await vacuumed(), ["20210628"], "yesterday may still get late records");
  await closePartitions(options, now);
  assert.deepEqual(await vacuumed(), ["20210628", "20210629"]);
  const counts = () => fixture.rows("select relname, vacuum_count from pg_stat_user_tables order by 1");
  const before = await counts();
  await closePartitions(options, now);
  assert.deepEqual(await counts(), before);
});

test("measures the days by state, and when the oldest is dropped", async () => {
  await using fixture = await createFixture();
  const { db } = await prepare(fixture);
  const metrics = createMetrics(createRegistry("consumer"));
  const states = async () =>
    Object.fromEntries(
      (await metrics.partitions.get()).values.map(({ labels, value }) => [labels.state, value]),
    );
  await measurePartitions(db, { metrics, retentionDays: 30 }, now);
  assert.deepEqual(await states(), { open: 2, closed: 2 });
  assert.equal((await metrics.nextDrop.get()).values[0]?.value, (yesterdayMs + 30 * dayMs) / 1000);
  await measurePartitions(db, { metrics, retentionDays: 0 }, now);
  assert.equal((await metrics.nextDrop.get()).values[0]?.value, Number.NaN);
});

test("closing freezes and analyses a day, and keeps the statistics of batch_id", async () => {
  await using fixture = await createFixture();
  const { options } = await prepare(fixture);
  await fixture.rows(
    storeRecords(`
      select ${firstBatchIdAt(yesterdayMs)}::bigint + batch, idx, now(), 9, '', 'hello'
      from generate_series(1, 2500) batch, generate_series(0, 4) idx`),
  );
  await closePartitions(options, now);
  const [partition] = await fixture.rows(`
    select relallfrozen = relpages as is_frozen, reltuples::int, n_distinct
    from pg_class join pg_stats on tablename = relname and attname = 'batch_id'
    where relname = 'record_batches_20210629'`);
  assert.equal(partition?.is_frozen, true);
  assert.equal(partition?.reltuples, 2500);
  assert.ok(Math.abs(Number(partition?.n_distinct) + 0.9) < 1e-6);
});

test("closes no day while records wait to be stored, and goes on afterwards", async () => {
  await using fixture = await createFixture();
  let isBehind = true;
  const { options, vacuumed } = await prepare(fixture, { isBehind: async () => isBehind });
  await closePartitions(options, now);
  assert.deepEqual(await vacuumed(), []);
  isBehind = false;
  await closePartitions(options, now);
  assert.deepEqual(await vacuumed(), ["20210628", "20210629"]);
});
