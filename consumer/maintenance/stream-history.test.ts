import assert from "node:assert/strict";
import { test } from "node:test";
import type { Redis } from "ioredis";
import { createRegistry } from "#lib/metrics.ts";
import { createDatabase } from "#postgres/pool.ts";
import { readPositions } from "#stream/epoch.ts";
import { groupName, streamKey } from "#stream/keys.ts";
import { restartableRedis } from "#stream/testing/restartable-redis.ts";
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
import { StreamHistory } from "./stream-history.ts";

const shards = Array.from({ length: shardCount }, (_, shard) => shard);

function createHistory(fixture: Fixture, redis: Redis = fixture.redis): StreamHistory {
  const metrics = createMetrics(createRegistry("consumer"));
  return new StreamHistory({ db: createDatabase(openTestPool(fixture)), redis, shards, metrics, logger });
}

const incidents = (fixture: Fixture) =>
  fixture.rows("select kind, details->>'shard' as shard from incidents order by id");

test("a stream that is seen for the first time is no incident", async () => {
  await using fixture = await createFixture();
  await createHistory(fixture).check();
  assert.deepEqual(await incidents(fixture), []);
});

test("a destroyed group is reported once, whichever program created it again; then a flushed stream; then nothing", async () => {
  await using fixture = await createFixture();
  const [one, other] = [createHistory(fixture), createHistory(fixture)];
  await one.check();
  await startConsumer(fixture);
  await fixture.append(makeEntry(1, records(3)));
  await waitFor("the batch", async () => (await fixture.count("records")) === 3);
  await one.check();
  assert.deepEqual(await incidents(fixture), []);

  await fixture.redis.xgroup("DESTROY", streamKey(0), groupName);
  await Promise.all([other.check(), one.check()]);
  assert.deepEqual(await incidents(fixture), [{ kind: "group_lost", shard: "0" }]);

  await fixture.redis.flushall();
  await Promise.all([one.check(), other.check()]);
  const flushed = (await incidents(fixture)).slice(1);
  assert.equal(flushed.length, shardCount);
  // Only a stream that had an entry can be seen to start again.
  assert(flushed.some(({ kind }) => kind === "stream_lost"));

  await fixture.append(makeEntry(2, records(3)));
  await waitFor("what came after", async () => (await fixture.count("records")) === 6);
  await one.check();
  assert.equal((await incidents(fixture)).length, 1 + shardCount);
});

test("a loss that could not be written is reported by the next check", async () => {
  await using fixture = await createFixture();
  const history = createHistory(fixture);
  await history.check();
  await fixture.redis.xgroup("DESTROY", streamKey(0), groupName);
  await fixture.rows("alter table incidents rename to incidents_away");
  await assert.rejects(history.check(), /incidents/);
  await fixture.rows("alter table incidents_away rename to incidents");
  await history.check();
  assert.deepEqual(await incidents(fixture), [{ kind: "group_lost", shard: "0" }]);
});

test("an older copy of the data is reported once, also when more was appended to it than is missing", async (t) => {
  await using fixture = await createFixture();
  const redis = await restartableRedis(t);
  await createHistory(fixture, redis.client()).check();
  await append(redis.client(), 3);
  await redis.copyData();
  await append(redis.client(), 2);
  await createHistory(fixture, redis.client()).check();
  await redis.killAndRestart();
  await createHistory(fixture, redis.client()).check();
  assert.deepEqual(await incidents(fixture), [], "a restart alone is no incident");

  await redis.killAndRestart({ onCopy: true });
  await append(redis.client(), 9);
  await Promise.all([1, 2].map(() => createHistory(fixture, redis.client()).check()));
  await createHistory(fixture, redis.client()).check();
  const rows = await fixture.rows("select kind, details from incidents order by id");
  assert.deepEqual(
    rows.map(({ kind }) => kind),
    ["stream_rewound"],
  );
  const details = rows[0]?.details as Record<string, unknown>;
  assert.equal(details.shard, 0);
  assert.equal(details.entries_added_before, 5);
  assert.equal(details.entries_added, 12);
  assert.equal(details.waiting_before, 5);
});

test("a deleted data folder is a lost stream, also for a consumer that starts later", async (t) => {
  await using fixture = await createFixture();
  const redis = await restartableRedis(t);
  await append(redis.client(), 5);
  await createHistory(fixture, redis.client()).check();
  await redis.killAndRestart({ empty: true });
  await readPositions(redis.client(), shards); // a server was faster
  await append(redis.client(), 1);
  await createHistory(fixture, redis.client()).check();
  const rows = await fixture.rows(
    "select kind, details->'waiting_before' as waiting from incidents where details->>'shard' = '0'",
  );
  assert.deepEqual(rows, [{ kind: "stream_lost", waiting: 5 }]);
});

test("trimmed entries are no loss", async (t) => {
  await using fixture = await createFixture();
  const redis = await restartableRedis(t);
  await append(redis.client(), 5);
  await createHistory(fixture, redis.client()).check();
  await append(redis.client(), 5);
  const newest = (await redis.client().xrevrange(streamKey(0), "+", "-", "COUNT", 1))[0]?.[0] ?? "";
  await redis.client().xtrim(streamKey(0), "MINID", newest);
  await redis.killAndRestart();
  await createHistory(fixture, redis.client()).check();
  assert.deepEqual(await incidents(fixture), []);
});

async function append(redis: Redis, count: number): Promise<void> {
  for (let n = 0; n < count; n++) await redis.xadd(streamKey(0), "*", "a", "b");
}
