import assert from "node:assert/strict";
import { test } from "node:test";
import { waitFor } from "#test/support/wait-for.ts";
import { createFixture, makeEntry, records } from "../testing/fixture.ts";
import { startProgram } from "../testing/program.ts";

const dayMs = 86_400_000;
const micros = (off: number) => (Date.now() + off) * 1_000;

test("an implausible received_at is replaced by PostgreSQL's time and counted, and its batch is not expired", async () => {
  await using fixture = await createFixture();
  const { logged } = await startProgram(fixture, { RETENTION_DAYS: "3" });
  const { admin } = await logged("ready");
  const arrivals = { in_1979: -47 * 365 * dayMs, in_2040: 14 * 365 * dayMs, before_retention: -3.5 * dayMs };
  for (const [sessionId, off] of Object.entries(arrivals))
    await fixture.append(makeEntry(1, records(3), { sessionId, receivedAtMicros: micros(off) }));
  const waited = micros(-2 * dayMs);
  await fixture.append(makeEntry(1, records(3), { sessionId: "waited", receivedAtMicros: waited }));
  await waitFor("all batches", async () => (await fixture.count("batches")) === 4);

  const far = "select session_id from batches where abs(extract(epoch from now() - received_at)) > 3600";
  assert.deepEqual(
    await fixture.rows(far),
    [{ session_id: "waited" }],
    "what waited in Redis keeps its time",
  );
  const own =
    "select (extract(epoch from received_at) * 1e6)::int8::text as at from batches where session_id = 'waited'";
  assert.deepEqual(await fixture.rows(own), [{ at: String(waited) }]);
  const metrics = await (await fetch(`http://${admin}/metrics`)).text();
  assert.match(metrics, /^fleetlog_received_at_corrections_total\{.*\} 3$/m);

  // A retry is recognised whatever its received_at.
  await fixture.append(
    makeEntry(1, records(3), { sessionId: "in_1979", receivedAtMicros: micros(-40 * 365 * dayMs) }),
  );
  await waitFor("every acknowledgement", async () => (await fixture.unacknowledged()) === 0);
  assert.equal(await fixture.count("batches"), 4);
  assert.equal(await fixture.count("records"), 12);
});

test("the time of boot of such a batch moves with its received_at", async () => {
  await using fixture = await createFixture();
  const { logged } = await startProgram(fixture);
  await logged("ready");
  const receivedAtMicros = micros(-47 * 365 * dayMs);
  const entry = makeEntry(1, [{ uptimeNano: 4_000_000_000n, message: "after 4 s" }], { receivedAtMicros });
  await fixture.append({ ...entry, bootedAtMicros: receivedAtMicros - 10_000_000 });
  await waitFor("the record", async () => (await fixture.count("records")) === 1);
  const [row] = await fixture.rows("select extract(epoch from received_at - time) as seconds from logs");
  assert.equal(Number(row?.["seconds"]), 6);
});
