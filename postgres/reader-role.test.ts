import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { after, before, test } from "node:test";
import { execa } from "execa";
import { Client } from "pg";
import { createDatabase, createEmptyDatabase, type TestDatabase } from "#test/support/postgres.ts";
import { ensureReader } from "./reader-role.ts";

// Roles belong to the whole PostgreSQL of this run: these have names of their own, and are removed.

const name = `reader_${randomBytes(6).toString("hex")}`;

let database: TestDatabase;
let owner: Client;
before(async () => {
  database = await createDatabase();
  owner = new Client({ connectionString: database.url });
  await owner.connect();
});
after(async () => {
  await owner.query(`DROP ROLE IF EXISTS ${name}`);
  await owner.end();
  await database[Symbol.asyncDispose]();
});

test("the role reads every table, also future ones, and writes none", async () => {
  await ensureReader(database.url, { name, password: "old" });
  await ensureReader(database.url, { name, password: "it's new" });
  await owner.query("CREATE TABLE made_later (x int)");
  await asReader("it's new", async (reader) => {
    const { rows } = await owner.query<{ table: string }>(
      "SELECT oid::regclass::text AS table FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')",
    );
    assert.ok(rows.length > 10);
    await reader.query("SELECT FROM logs LIMIT 1");
    for (const { table } of rows) await reader.query(`SELECT FROM ${table} LIMIT 1`);
    await assert.rejects(reader.query("DELETE FROM made_later"), { code: "25006" }); // read-only transaction
    // A session may switch this setting off, but still has no privilege to write.
    await reader.query("SET default_transaction_read_only = off");
    const writes = rows.flatMap(({ table }) => [
      `INSERT INTO ${table} DEFAULT VALUES`,
      `DELETE FROM ${table}`,
      `TRUNCATE ${table}`,
      `DROP TABLE ${table}`,
    ]);
    for (const statement of [
      ...writes,
      "CREATE TABLE mine (x int)",
      `ALTER ROLE ${name} SUPERUSER`,
      "CREATE ROLE another",
      "COPY devices TO PROGRAM 'true'",
      "SELECT pg_read_file('PG_VERSION')",
      "SELECT nextval('batch_counter')",
      `SET ROLE ${new URL(database.url).username}`,
    ]) {
      await assert.rejects(reader.query(statement), { code: "42501" }, statement);
    }
  });
});

test("several callers create the role at the same time", async () => {
  await Promise.all(Array.from({ length: 4 }, () => ensureReader(database.url, { name, password: "same" })));
  await asReader("same", (reader) => reader.query("SELECT FROM devices LIMIT 1"));
});

test("a role that can do more than read is not changed", async () => {
  const { username } = new URL(database.url);
  await assert.rejects(
    ensureReader(database.url, { name: username, password: "other" }),
    /has more privileges than reading: choose another name/,
  );
  const again = new Client({ connectionString: database.url });
  await again.connect(); // by the password that it had
  await again.end();
});

test("the migrate program creates the role in the gateway's URL", async () => {
  await using empty = await createEmptyDatabase();
  const url = new URL(empty.url);
  url.username = name;
  url.password = "gateway%21";
  const { stdout } = await execa(process.execPath, ["postgres/main.ts"], {
    env: { DATABASE_URL: empty.url, GATEWAY_DATABASE_URL: url.href },
  });
  assert.match(stdout, new RegExp(`"role":"${name}"`));
  assert.doesNotMatch(stdout, /gateway%21|gateway!/);
  await asReader("gateway!", (reader) => reader.query("SELECT FROM logs LIMIT 1"), empty.url);
});

async function asReader(
  password: string,
  work: (reader: Client) => Promise<unknown>,
  databaseUrl = database.url,
): Promise<void> {
  const url = new URL(databaseUrl);
  url.username = name;
  url.password = encodeURIComponent(password);
  const reader = new Client({ connectionString: url.href });
  await reader.connect();
  try {
    await work(reader);
  } finally {
    await reader.end();
  }
}
