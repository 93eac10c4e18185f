import assert from "node:assert/strict";
import { test } from "node:test";
import { createRegistry } from "#lib/metrics.ts";
import { createDatabase } from "#postgres/pool.ts";
import { ensureGroups } from "#stream/groups.ts";
import { allShards, streamKey } from "#stream/keys.ts";
import { type AppendedBatch, countParts, pushReport } from "#stream/unconfirmed.ts";
import { waitFor } from "#test/support/wait-for.ts";
import { createMetrics } from "../metrics.ts";
import {
  createFixture,
  type Fixture,
  logger,
  makeEntry,
  openTestPool,
  records,
  shardCount,
  startConsumer,
} from "../testing/fixture.ts";
import { LostBatches } from "./lost-batches.ts";

const shards = allShards(shardCount);

function createLostBatches(fixture: Fixture, settleMs = 0): LostBatches {
  const metrics = createMetrics(createRegistry("consumer"));
  const db = createDatabase(openTestPool(fixture));
  return new LostBatches({ db, redis: fixture.redis, shards, metrics, logger, settleMs });
}

/** Checks until no report waits: the first check only notes that there are some. */
async function checkUntilDone(fixture: Fixture, ...all: readonly LostBatches[]): Promise<void> {
  await waitFor("the reports to be read", async () => {
    await Promise.all(all.map((one) => one.check()));
    return (await Promise.all(shards.map((shard) => countParts(fixture.redis, shard)))).every(
      (count) => count === 0,
    );
  });
}

const appended = (sequence: number, id: string, deviceId = "device-1"): AppendedBatch => ({
  id,
  deviceId,
  sessionId: "boot-1",
  sequence: BigInt(sequence),
});

const lost = (fixture: Fixture) =>
  fixture.rows("select details from incidents where kind = 'entries_lost' order by id");

test("reported batches that are neither stored nor in the stream are named in one incident", async () => {
  await using fixture = await createFixture();
  await ensureGroups(fixture.redis, shards);
  const { stop } = await startConsumer(fixture);
  await fixture.append(makeEntry(1, records(2)), makeEntry(2, records(2)));
  await waitFor("both stored", async () => (await fixture.count("batches")) === 2);
  await stop();
  const id = await fixture.redis.xadd(streamKey(0), "*", "a", "b");
  assert(id !== null);
  const later = (n: number) => `${Number(id.split("-")[0]) + n}-0`;
  const batches = [
    appended(1, "1-0"),
    appended(2, "2-0"),
    appended(3, id), // in the stream
    appended(4, later(1)),
    appended(5, later(2)),
    appended(7, later(3)),
    appended(1, later(4), "device-2"),
  ];
  await pushReport(fixture.redis, 0, { name: "one", batches, forgottenCount: 9 });
  await pushReport(fixture.redis, 1, { name: "two", batches: batches.slice(0, 2), forgottenCount: 9 });
  await checkUntilDone(fixture, createLostBatches(fixture), createLostBatches(fixture));

  const [incident, ...others] = await lost(fixture);
  assert.deepEqual(others, []);
  assert.deepEqual(incident?.details, {
    shard: 0,
    report: "one",
    count: 4,
    forgotten_count: 0,
    first_id: later(1),
    last_id: later(4),
    ranges: 3,
    batches: [
      { device_id: "device-1", session_id: "boot-1", first: "4", last: "5" },
      { device_id: "device-1", session_id: "boot-1", first: "7", last: "7" },
      { device_id: "device-2", session_id: "boot-1", first: "1", last: "1" },
    ],
  });
});

test("only the dead letter of a whole batch counts as the batch stored", async () => {
  await using fixture = await createFixture();
  await ensureGroups(fixture.redis, shards);
  await fixture.rows(`
    insert into dead_letters (device_id, session_id, sequence, idx, reason, raw, raw_bytes, entry, record_count)
    values
      ('device-1', 'boot-1', 1, null, 'a whole batch', '', 0, 'fleetlog:{0}:batches/1-0', 1),
      ('device-1', 'boot-1', 2, 0, 'one record', '', 0, null, 1),
      ('device-1', 'boot-1', 3, null, 'more records', '', 0, null, 50)`);
  const batches = [appended(1, "1-0"), appended(2, "2-0"), appended(3, "3-0")];
  await pushReport(fixture.redis, 0, { name: "one", batches, forgottenCount: 0 });
  await checkUntilDone(fixture, createLostBatches(fixture));
  const [incident] = await lost(fixture);
  const { batches: missing } = (incident?.details ?? {}) as Record<string, unknown>;
  assert.deepEqual(missing, [{ device_id: "device-1", session_id: "boot-1", first: "2", last: "3" }]);
});

test("when every reported batch is missing, the incident also counts the batches that the server forgot", async () => {
  await using fixture = await createFixture();
  await ensureGroups(fixture.redis, shards);
  await pushReport(fixture.redis, 0, { name: "one", batches: [appended(10, "10-0")], forgottenCount: 9 });
  await checkUntilDone(fixture, createLostBatches(fixture));
  const [incident] = await lost(fixture);
  const { count, forgotten_count } = (incident?.details ?? {}) as Record<string, unknown>;
  assert.deepEqual([count, forgotten_count], [1, 9]);
});

test("a report is not checked before batches in flight had time to be stored", async () => {
  await using fixture = await createFixture();
  await ensureGroups(fixture.redis, shards);
  await pushReport(fixture.redis, 0, { name: "one", batches: [appended(1, "1-0")], forgottenCount: 0 });
  const lostBatches = createLostBatches(fixture, 60_000);
  for (let check = 0; check < 3; check++) await lostBatches.check();
  assert.deepEqual(await lost(fixture), []);
  assert.equal(await countParts(fixture.redis, 0), 1);
});
