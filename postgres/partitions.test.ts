import assert from "node:assert/strict";
import { test } from "node:test";
import { type Kysely, sql } from "kysely";
import { createDatabase } from "#test/support/postgres.ts";
import { ensurePartitions, firstBatchIdAt, partitionName, partitionsAhead } from "./partitions.ts";
import type { Database } from "./tables.ts";
import { openDatabase } from "./testing/open-database.ts";
import { storeRecords } from "./testing/store-records.ts";

// Days for which no clock creates partitions.
const now = new Date("2031-12-31T23:30:00Z");
const dayMs = 86_400_000;

async function insertRecordAt(db: Kysely<Database>, ms: number): Promise<void> {
  await sql.raw(storeRecords(`select ${firstBatchIdAt(ms)}, 0, now(), 9, '', 'hello'`)).execute(db);
}

async function partitionsOfRecords(db: Kysely<Database>): Promise<readonly string[]> {
  const { rows } = await sql<{ name: string }>`
    select tableoid::regclass::text as name from record_batches order by batch_id`.execute(db);
  return rows.map(({ name }) => name);
}

test("creates the missing days from yesterday on", async () => {
  await using database = await createDatabase();
  await using db = openDatabase(database.url);
  const created = await ensurePartitions(db, { now, daysAhead: 2 });
  assert.deepEqual(created, [
    "record_batches_20311230",
    "record_batches_20311231",
    "record_batches_20320101",
    "record_batches_20320102",
  ]);
  assert.deepEqual(await ensurePartitions(db, { now, daysAhead: 2 }), []);
  assert.deepEqual(await ensurePartitions(db, { now, daysAhead: 3 }), ["record_batches_20320103"]);
});

test("a record is stored in the day of its batch, to the millisecond", async () => {
  await using database = await createDatabase();
  await using db = openDatabase(database.url);
  await ensurePartitions(db, { now, daysAhead: 1 });
  const midnight = Date.UTC(2032, 0, 1);
  await insertRecordAt(db, midnight - 1);
  await insertRecordAt(db, midnight);
  await insertRecordAt(db, midnight + dayMs);
  assert.deepEqual(await partitionsOfRecords(db), [
    "record_batches_20311231",
    "record_batches_20320101",
    "record_batches_default",
  ]);
});

test("moves the rows of a day from record_batches_default into its new partition", async () => {
  await using database = await createDatabase();
  await using db = openDatabase(database.url);
  await insertRecordAt(db, now.getTime());
  await insertRecordAt(db, now.getTime() - 30 * dayMs);
  await ensurePartitions(db, { now, daysAhead: 1 });
  assert.deepEqual(await partitionsOfRecords(db), ["record_batches_default", "record_batches_20311231"]);
});

/** Retries an insert that failed because its partition was just being attached. */
async function insertAgainIfRefused(db: Kysely<Database>, ms: number): Promise<void> {
  await insertRecordAt(db, ms).catch(async (error: unknown) => {
    const { code, table } = error as { code?: string; table?: string };
    assert.deepEqual([code, table], ["23514", "record_batches_default"]);
    await insertRecordAt(db, ms);
  });
}

test("several callers create the same days at the same time, while records are written", async () => {
  await using database = await createDatabase();
  await using db = openDatabase(database.url);
  await Promise.all([
    ...[1, 2, 3].map(() => ensurePartitions(db, { now, daysAhead: 3 })),
    ...Array.from({ length: 20 }, (_, index) => insertAgainIfRefused(db, now.getTime() + index * 3_600_000)),
  ]);
  assert.equal((await partitionsOfRecords(db)).length, 20);
  assert.ok(!(await partitionsOfRecords(db)).includes("record_batches_default"));
});

test("the planner finds one batch by its index before the first ANALYZE, and after it", async () => {
  await using database = await createDatabase();
  await using db = openDatabase(database.url);
  await ensurePartitions(db, { now, daysAhead: 1 });
  const first = firstBatchIdAt(now.getTime());
  const records = `
    select ${first}::bigint + batch, idx, now(), 9, 'test', repeat('x', 100)
    from generate_series(1, 300) batch, generate_series(0, 99) idx`;
  await sql.raw(storeRecords(records)).execute(db);
  const plan = async () => {
    const { rows } = await sql<Record<string, string>>`
      explain select * from records where batch_id in (${first + 7n}, ${first + 8n})`.execute(db);
    return rows.map((row) => Object.values(row).join("")).join("\n");
  };
  assert.match(await plan(), /record_batches_\d+_pkey/);
  await sql`analyze record_batches`.execute(db);
  assert.match(await plan(), /record_batches_\d+_pkey/);
});

test("every partition stores arrays as the server can do it cheaply: by lz4, or as they are, never by pglz", async () => {
  await using database = await createDatabase();
  await using db = openDatabase(database.url);
  await ensurePartitions(db, { now, daysAhead: 0 });
  const { rows } = await sql<{ name: string; arrays: number; storage: string }>`
    select attrelid::regclass::text as name, count(*)::int as arrays,
      string_agg(distinct case when attcompression = 'l' then 'lz4' else attstorage::text end, ', ') as storage
    from pg_attribute join pg_type on pg_type.oid = atttypid join pg_partition_tree('record_batches') on relid = attrelid
    where attnum > 0 and typcategory = 'A' group by 1`.execute(db);
  assert.ok(rows.length >= 4);
  const [{ storage: first } = { storage: "" }] = rows;
  assert.match(first, /^(lz4|e)$/);
  for (const { name, arrays, storage } of rows) assert.deepEqual([name, arrays, storage], [name, 13, first]);
});

test("names partitions by their day in UTC", () => {
  assert.equal(partitionName(Date.UTC(2026, 0, 31)), "record_batches_20260131");
});

test("counts the days ahead up to the first gap; -1 when today is missing", async () => {
  await using database = await createDatabase();
  await using db = openDatabase(database.url);
  assert.equal(await partitionsAhead(db, now), -1);
  await ensurePartitions(db, { now });
  assert.equal(await partitionsAhead(db, now), 7);
  await sql`drop table record_batches_20320103`.execute(db);
  assert.equal(await partitionsAhead(db, now), 2);
});
