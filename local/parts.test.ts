import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { Client } from "pg";
import { findPart } from "./parts.ts";
import { startPostgres } from "./postgres.ts";
import { startRedis } from "./redis.ts";

let folder: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), "parts-"));
});
after(() => rm(folder, { recursive: true, force: true }));

test("finds a Redis and an Nginx that run, however many ask at once", async () => {
  const found = await Promise.all([
    findPart("redis"),
    findPart("nginx"),
    findPart("redis"),
    findPart("nginx"),
  ]);
  for (const [index, { command, env }] of found.entries()) {
    const { status } = spawnSync(command, [index % 2 === 0 ? "--version" : "-v"], { env: { ...env } });
    assert.equal(status, 0, command);
  }
});

test("keeps what is in Redis and PostgreSQL from one start to the next", async () => {
  for (const start of [1, 2]) {
    const postgres = await startPostgres(folder);
    const redis = await startRedis(folder);
    const client = new Client({ connectionString: postgres.url });
    await client.connect();
    await client.query("CREATE TABLE IF NOT EXISTS starts (number int)");
    await client.query("INSERT INTO starts VALUES ($1)", [start]);
    assert.equal((await client.query("SELECT FROM starts")).rowCount, start);
    await client.end();
    redis.child.kill();
    postgres.child.kill(); // even without a proper stop
    await Promise.all([redis.child.exited, postgres.child.exited]);
  }
});

test("says what to do about a data folder that PostgreSQL cannot use", async () => {
  await rm(join(folder, "postgres/global/pg_control"));
  await assert.rejects(
    startPostgres(folder),
    /PostgreSQL ended during start.*pg_control.*move that folder away/s,
  );
  await rm(join(folder, "postgres.password"));
  await assert.rejects(startPostgres(folder), /postgres\.password is missing/);
  await rm(join(folder, "postgres/PG_VERSION"));
  await assert.rejects(startPostgres(folder), /is not a PostgreSQL data folder: move it away/);
});
