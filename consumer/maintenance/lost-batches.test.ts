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

function unconfirmedOf(fixture: Fixture, settleMs = 0): LostBatches {
  const metrics = createMetrics(createRegistry("consumer"));
  const db = createDatabase(openTestPool(fixture));
  return new LostBatches({ db, redis: fixture.redis, shards, metrics, logger, settleMs });
}

/** Looks until nothing waits: the first look only notes what is there. */
async function lookAll(fixture: Fixture, ...all: readonly LostBatches[]): Promise<void> {
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

test("of what is reported, what is neither stored nor in the stream is an incident that names it, once", async () => {
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
  await lookAll(fixture, unconfirmedOf(fixture), unconfirmedOf(fixture));

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

test("where all that a server remembers is missing, what it does not remember may be, too", async () => {
  await using fixture = await createFixture();
  await ensureGroups(fixture.redis, shards);
  await pushReport(fixture.redis, 0, { name: "one", batches: [appended(10, "10-0")], forgottenCount: 9 });
  await lookAll(fixture, unconfirmedOf(fixture));
  const [incident] = await lost(fixture);
  const { count, forgotten_count } = (incident?.details ?? {}) as Record<string, unknown>;
  assert.deepEqual([count, forgotten_count], [1, 9]);
});

test("a report waits for what is on its way to be stored", async () => {
  await using fixture = await createFixture();
  await ensureGroups(fixture.redis, shards);
  await pushReport(fixture.redis, 0, { name: "one", batches: [appended(1, "1-0")], forgottenCount: 0 });
  const unconfirmed = unconfirmedOf(fixture, 60_000);
  for (let look = 0; look < 3; look++) await unconfirmed.check();
  assert.deepEqual(await lost(fixture), []);
  assert.equal(await countParts(fixture.redis, 0), 1);
});
