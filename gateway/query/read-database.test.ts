import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type { LogEvent } from "kysely";
import type { Pool } from "pg";
import { createDatabase, type TestDatabase } from "#test/support/postgres.ts";
import { waitFor } from "#test/support/wait-for.ts";
import { openPool } from "../testing/open-pool.ts";
import { openReadDatabase } from "../testing/open-read-database.ts";
import { startGateway } from "../testing/start-gateway.ts";

let database: TestDatabase;
let pool: Pool;

before(async () => {
  database = await createDatabase();
  pool = openPool(database.url);
});
after(async () => {
  await pool.end();
  await database[Symbol.asyncDispose]();
});

/** Endless rows, a statement that only its end stops. */
const endless = "select generate_series(1, $1::int8), pg_sleep(0.001), repeat('x', 1000)";
const running = async () => {
  const { rowCount } = await pool.query(
    `select from pg_stat_activity where datname = current_database() and state = 'active' and query = $1`,
    [endless],
  );
  return rowCount;
};

test("a caller that leaves ends a statement between two of its rows", async () => {
  await using gateway = await startGateway(database.url, { queryTimeoutMs: 60_000 });
  const leaving = new AbortController();
  let rows = 0;
  const reading = gateway.readPool.read("test", { client: "test", signal: leaving.signal }, (db) =>
    db.readRows(endless, ["100000000"], () => {
      rows += 1;
    }),
  );
  reading.catch(() => {});
  await waitFor("some rows", () => rows > 100);
  const reason = new Error("the caller left");
  leaving.abort(reason);
  await assert.rejects(reading, reason);
  const atEnd = rows;
  await waitFor("the statement to be gone", async () => (await running()) === 0);
  assert.equal(rows, atEnd);
});

test("rows that never end are cut at the query timeout", async () => {
  await using gateway = await startGateway(database.url, { queryTimeoutMs: 300 });
  const { signal } = new AbortController();
  const reading = gateway.readPool.read("test", { client: "test", signal }, (db) =>
    db.readRows(endless, ["100000000"], () => {}),
  );
  await assert.rejects(reading, ({ name, code }: Error & { code?: string }) => {
    return name === "QueryTimeoutError" || code === "57014";
  });
});

test("prepared statements are logged, also those that fail, and are prepared once a connection", async () => {
  const events: LogEvent[] = [];
  const db = await openReadDatabase(database.url, (event) => events.push(event));
  const text = "select 10 / $1::int4 from generate_series(1, 3)";
  let rows = 0;
  for (const value of ["1", "2", "0"]) await db.readRows(text, [value], () => (rows += 1)).catch(() => {});
  assert.equal(rows, 6);
  assert.deepEqual(
    events.map(({ level, query }) => [level, query.sql, query.parameters]),
    [
      ["query", text, ["1"]],
      ["query", text, ["2"]],
      ["error", text, ["0"]],
    ],
  );
  const found: number[] = [];
  const countText = "select count(*)::int4 from pg_prepared_statements where statement = $1";
  await db.readRows(countText, [text], (row) => found.push(row.readInt32BE(6)));
  assert.deepEqual(found, [1]);
  await db.destroy();
});
