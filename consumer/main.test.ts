import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { test } from "node:test";
import { waitFor } from "#test/support/wait-for.ts";
import { createFixture, type Fixture, makeEntry, records } from "./testing/fixture.ts";
import { startProgram } from "./testing/program.ts";

function allStored(fixture: Fixture, count: number): Promise<true> {
  return waitFor(`${count} records`, async () => (await fixture.count("records")) === count);
}

test("stores entries, reports ready, serves metrics, and exits with 0 on SIGTERM", async () => {
  await using fixture = await createFixture();
  const { child, exited, logged } = await startProgram(fixture);
  const { admin } = await logged("ready");
  await fixture.append(makeEntry(1, records(30)));
  await allStored(fixture, 30);
  assert.equal(await (await fetch(`http://${admin}/readyz`)).text(), "ready\n");
  const metrics = await waitFor("the metrics", async () => {
    const text = await (await fetch(`http://${admin}/metrics`)).text();
    return /consumed_records_total\{outcome="stored".*\} 30/.test(text) && text;
  });
  assert.match(metrics, /fleetlog_flush_records_count\{.*\} 1/);
  await waitFor("the acknowledgement", async () => (await fixture.unacknowledged()) === 0);
  child.kill("SIGTERM");
  assert.deepEqual(await exited, [0, null]);
});

test("stores each batch once although it is killed again and again", async () => {
  await using fixture = await createFixture();
  const entries = Array.from({ length: 400 }, (_, index) => makeEntry(index + 1, records(100)));
  await fixture.append(...entries);
  for (let round = 1; round <= 3; round++) {
    const { child, exited, logged } = await startProgram(fixture, { FLUSH_BYTES_MAX: String(1 << 20) });
    const before = await fixture.count("batches");
    await waitFor("progress", async () => (await fixture.count("batches")) > before || before === 400);
    child.kill("SIGKILL");
    await Promise.all([exited, logged("")]);
  }
  const { logged } = await startProgram(fixture);
  await logged("ready");
  await allStored(fixture, 40_000);
  await waitFor("every acknowledgement", async () => (await fixture.unacknowledged()) === 0);
  assert.equal(await fixture.count("batches"), 400);
  assert.deepEqual(await fixture.rows("select sum(record_count)::int as n from log_statistics"), [
    { n: 40_000 },
  ]);
});

test("reports why it is not ready while tables are missing, and continues once they exist", async () => {
  await using fixture = await createFixture();
  await fixture.rows("alter table record_batches rename to hidden");
  const { logged } = await startProgram(fixture);
  await logged("could not create partitions");
  await fixture.rows("alter table hidden rename to record_batches");
  await logged("ready");
});

test("exits in time on SIGTERM while PostgreSQL does not answer, and leaves the entry pending", async () => {
  await using fixture = await createFixture();
  const { child, exited, logged } = await startProgram(fixture, { DRAIN_TIMEOUT_MS: "200" });
  await logged("ready");
  await fixture.holdFlushes();
  await fixture.append(makeEntry(1, records(3)));
  await fixture.heldFlush();
  child.kill("SIGTERM");
  assert.deepEqual(await exited, [0, null]);
  await fixture.rows("rollback");
  assert.equal(await fixture.unacknowledged(), 1);
  assert.equal(await fixture.count("records"), 0);
});

test("exits with 1 and lists every problem of its configuration", async () => {
  const child = spawn(process.execPath, [join(import.meta.dirname, "main.ts")], {
    env: { PATH: "", REDIS_URL: "nonsense" },
    stdio: ["ignore", "ignore", "pipe"],
  });
  const [said, [code]] = await Promise.all([child.stderr.toArray(), once(child, "exit")]);
  assert.equal(code, 1);
  assert.match(
    Buffer.concat(said).toString(),
    /2 problem\(s\)[^]*DATABASE_URL=\(not set\)[^]*REDIS_URL="nonsense"/,
  );
});
