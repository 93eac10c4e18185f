import assert from "node:assert/strict";
import { test } from "node:test";
import { sql } from "kysely";
import { createEmptyDatabase } from "#test/support/postgres.ts";
import { migrateToLatest } from "./migrate.ts";
import { openDatabase } from "./testing/open-database.ts";

test("of several concurrent runs one migrates", async () => {
  await using database = await createEmptyDatabase();
  const results = await Promise.all([1, 2, 3].map(() => migrateToLatest(database.url)));
  const names = results.flatMap(({ migrations }) => migrations);
  assert.equal(names[0], "0001-ledger");
  assert.equal(new Set(names).size, names.length);
  const partitions = results.flatMap(({ partitions }) => partitions);
  assert.equal(partitions.length, 9);
  assert.equal(new Set(partitions).size, 9);
});

test("a second run changes nothing", async () => {
  await using database = await createEmptyDatabase();
  await migrateToLatest(database.url);
  assert.deepEqual(await migrateToLatest(database.url), { migrations: [], partitions: [] });
});

test("a database that has a later migration also gets an earlier one", async () => {
  await using database = await createEmptyDatabase();
  await migrateToLatest(database.url);
  await using db = openDatabase(database.url);
  await sql`drop table retention_requests, retention_clock`.execute(db);
  await sql`delete from kysely_migration where name = '0007-retention'`.execute(db);
  assert.deepEqual((await migrateToLatest(database.url)).migrations, ["0007-retention"]);
});

test("time_from_micros is exact over the whole range of 64-bit nanoseconds", async () => {
  await using database = await createEmptyDatabase();
  await migrateToLatest(database.url);
  await using db = openDatabase(database.url);
  for (const micros of [0n, 1n, 1_769_903_999_500_001n, 9_007_199_254_740_993n, 18_446_744_073_709_551n]) {
    const { rows } = await sql<{ micros: string }>`
      select (extract(epoch from time_from_micros(${micros})) * 1000000)::bigint as micros`.execute(db);
    assert.equal(rows[0]?.micros, String(micros));
  }
});
