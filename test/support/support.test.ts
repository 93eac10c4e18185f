import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { Redis } from "ioredis";
import { Client } from "pg";
import { processIdentity } from "#dev/process-identity.ts";
import { createDatabase } from "./postgres.ts";
import { startRedis } from "./redis.ts";
import { waitFor } from "./wait-for.ts";

test("gives each test file its own database that loses nothing in a crash", async () => {
  await using first = await createDatabase();
  await using second = await createDatabase();
  assert.notEqual(first.url, second.url);
  const client = new Client({ connectionString: first.url });
  await client.connect();
  const { rows } = await client.query("SELECT current_setting('fsync') AS fsync, version()");
  await client.end();
  assert.equal(rows[0].fsync, "on");
  assert.match(rows[0].version, /^PostgreSQL 18/);
});

test("starts a Redis with Fleetlog's settings and the requested ones", async () => {
  await using server = await startRedis({ maxmemory: "3mb" });
  const redis = new Redis(server.url);
  const settings = await redis.config("GET", "append*", "save", "maxmemory*", "no-appendfsync-on-rewrite");
  redis.disconnect();
  const found = JSON.stringify(settings);
  for (const part of ['"always"', '"volatile-lru"', '"3145728"']) assert.ok(found.includes(part), found);
});

test("ends the processes of a test even when the test process is killed", async () => {
  const support = fileURLToPath(new URL("redis.ts", import.meta.url));
  const script = `const { startRedis } = await import(${JSON.stringify(support)});
    console.log((await startRedis()).pid); setInterval(() => {}, 1000);`;
  const starter = spawn(process.execPath, ["--input-type=module", "-e", script], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  let output = "";
  starter.stdout.on("data", (data) => (output += String(data)));
  const pid = await waitFor("the pid of Redis", () => Number(output.trim()));
  assert.ok(processIdentity(pid));
  starter.kill("SIGKILL");
  await waitFor("Redis to end", () => processIdentity(pid) === undefined);
});

test("reports the awaited condition and the last value on a timeout", async () => {
  await assert.rejects(
    waitFor("a miracle", () => Promise.reject(new Error("not today")), 20),
    (error: Error) => /in vain for a miracle/.test(error.message) && /not today/.test(String(error.cause)),
  );
});
