import assert from "node:assert/strict";
import { test } from "node:test";
import { sql } from "kysely";
import { createRegistry } from "#lib/metrics.ts";
import { listDayPartitions } from "#postgres/day-partitions.ts";
import { dayMs, ensurePartitions, firstBatchIdAt } from "#postgres/partitions.ts";
import { createDatabase } from "#postgres/pool.ts";
import { createMetrics } from "../metrics.ts";
import { createFixture, type Fixture, logger, openTestPool } from "../testing/fixture.ts";
import { type ClosedPartitionsOptions, closePartitions } from "./closed-partitions.ts";
import { measurePartitions } from "./gauges.ts";

const now = new Date("2031-06-30T12:00:00Z");
const yesterdayMs = Date.UTC(2031, 5, 29);

async function partsFor(fixture: Fixture, changes: Partial<ClosedPartitionsOptions> = {}) {
  const pool = openTestPool(fixture);
  const db = createDatabase(pool);
  const metrics = createMetrics(createRegistry("consumer"));
  await fixture.dropDays();
  await ensurePartitions(db, { now, daysAhead: 1, daysBack: 2 });
  const parts: ClosedPartitionsOptions = {
    pool,
    indexes: ["text", "attributes"],
    memoryMebibytes: 16,
    isBehind: async () => false,
    metrics,
    logger,
    signal: new AbortController().signal,
    ...changes,
  };
  /** The number of indexes of each day, ready and broken. */
  const indexes = async () =>
    Object.fromEntries(
      (await listDayPartitions(db)).map(({ name, indexes, brokenIndexes }) => [
        name,
        [...indexes, ...brokenIndexes],
      ]),
    );
  return { parts, db, metrics, indexes };
}

const both = ["text", "attributes"];

test("builds the indexes of closed days, newest first, and none of open days", async () => {
  await using fixture = await createFixture();
  const { parts, db, metrics, indexes } = await partsFor(fixture);
  const states = async () =>
    Object.fromEntries(
      (await metrics.partitions.get()).values.map(({ labels, value }) => [labels.state, value]),
    );
  const midnight = new Date("2031-06-30T00:30:00Z");
  await closePartitions(parts, midnight);
  const open = { record_batches_20310629: [], record_batches_20310630: [], record_batches_20310701: [] };
  assert.deepEqual(
    await indexes(),
    { record_batches_20310628: both, ...open },
    "yesterday may still get late records",
  );
  await measurePartitions(db, { metrics, retentionDays: 30, indexes: parts.indexes }, now);
  assert.deepEqual(await states(), { open: 2, waiting: 1, indexed: 1 });
  assert.equal((await metrics.nextDrop.get()).values[0]?.value, (yesterdayMs + 30 * dayMs) / 1000);
  await closePartitions(parts, now);
  assert.deepEqual(await indexes(), { ...open, record_batches_20310628: both, record_batches_20310629: both });
  await measurePartitions(db, { metrics, retentionDays: 0, indexes: parts.indexes }, now);
  assert.deepEqual(await states(), { open: 2, waiting: 0, indexed: 2 });
  assert.equal((await metrics.nextDrop.get()).values[0]?.value, Number.NaN);
});

test("closing freezes and analyses a day, and keeps the statistics of batch_id", async () => {
  await using fixture = await createFixture();
  const { parts, db } = await partsFor(fixture);
  const first = firstBatchIdAt(yesterdayMs);
  await sql`insert into records
    select ${first}::bigint + batch, now(), idx, 9, '', 'hello', null
    from generate_series(1, 5) batch, generate_series(1, 500) idx`.execute(db);
  await closePartitions(parts, now);
  const [partition] = await fixture.rows(`
    select relallfrozen = relpages as is_frozen, reltuples::int, n_distinct
    from pg_class join pg_stats on tablename = relname and attname = 'batch_id' where relname = 'record_batches_20310629'`);
  assert.equal(partition?.is_frozen, true);
  assert.equal(partition?.reltuples, 2500);
  assert.ok(Math.abs(Number(partition?.n_distinct) + 0.01) < 1e-6);
});

test("an index whose build was interrupted is built again", async () => {
  await using fixture = await createFixture();
  const { parts, db, indexes } = await partsFor(fixture);
  await sql`create index record_batches_20310629_by_text on record_batches_20310629 (message)`.execute(db);
  // As after a crash in the middle of CREATE INDEX CONCURRENTLY.
  await sql`update pg_index set indisvalid = false where indexrelid = 'record_batches_20310629_by_text'::regclass`.execute(
    db,
  );
  await closePartitions(parts, now);
  assert.deepEqual((await indexes()).record_batches_20310629, both);
  const [index] = await fixture.rows(
    "select pg_get_indexdef('record_batches_20310629_by_text'::regclass) as definition",
  );
  assert.match(
    String(index?.definition),
    /USING gin \(lower\(\(message COLLATE pg_c_utf8\)\) gin_trgm_ops\)/,
  );
});

test("builds only the configured indexes, and none while records wait to be stored", async () => {
  await using fixture = await createFixture();
  let isBehind = true;
  const { parts, indexes } = await partsFor(fixture, {
    indexes: ["attributes"],
    isBehind: async () => isBehind,
  });
  await closePartitions(parts, now);
  assert.deepEqual((await indexes()).record_batches_20310629, []);
  isBehind = false;
  await closePartitions(parts, now);
  assert.deepEqual((await indexes()).record_batches_20310629, ["attributes"]);
});

test("a failed index build is reported and retried, and breaks nothing", async () => {
  await using fixture = await createFixture();
  const { parts, db, metrics, indexes } = await partsFor(fixture, { indexes: ["attributes"] });
  await sql`create table record_batches_20310629_by_attributes ()`.execute(db); // its name is taken
  await closePartitions(parts, now);
  assert.equal((await metrics.indexFailures.get()).values[0]?.value, 1);
  await sql`drop table record_batches_20310629_by_attributes`.execute(db);
  await closePartitions(parts, now);
  assert.deepEqual((await indexes()).record_batches_20310629, ["attributes"]);
});
