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
  createWorld,
  entryOf,
  logger,
  poolFor,
  records,
  shardCount,
  startConsumer,
  type World,
} from "../testing/fixture.ts";
import { StreamHistory } from "./stream-history.ts";

const shards = Array.from({ length: shardCount }, (_, shard) => shard);

function historyOf(world: World, redis: Redis = world.redis): StreamHistory {
  const metrics = createMetrics(createRegistry("consumer"));
  return new StreamHistory({ db: createDatabase(poolFor(world)), redis, shards, metrics, logger });
}

const incidents = (world: World) =>
  world.rows("select kind, details->>'shard' as shard from incidents order by id");

test("streams that are seen for the first time are no incident", async () => {
  await using world = await createWorld();
  await historyOf(world).look();
  assert.deepEqual(await incidents(world), []);
});

test("a destroyed group is reported once, whoever made it again; then a flushed stream; then nothing", async () => {
  await using world = await createWorld();
  const [one, other] = [historyOf(world), historyOf(world)];
  await one.look();
  await startConsumer(world);
  await world.append(entryOf(1, records(3)));
  await waitFor("the batch", async () => (await world.count("records")) === 3);
  await one.look();
  assert.deepEqual(await incidents(world), []);

  await world.redis.xgroup("DESTROY", streamKey(0), groupName);
  await Promise.all([other.look(), one.look()]);
  assert.deepEqual(await incidents(world), [{ kind: "group_lost", shard: "0" }]);

  await world.redis.flushall();
  await Promise.all([one.look(), other.look()]);
  const flushed = (await incidents(world)).slice(1);
  assert.equal(flushed.length, shardCount);
  // Only a stream that has been given something can be seen to begin again.
  assert(flushed.some(({ kind }) => kind === "stream_lost"));

  await world.append(entryOf(2, records(3)));
  await waitFor("what came after", async () => (await world.count("records")) === 6);
  await one.look();
  assert.equal((await incidents(world)).length, 1 + shardCount);
});

test("a loss that could not be written is reported by the next look", async () => {
  await using world = await createWorld();
  const history = historyOf(world);
  await history.look();
  await world.redis.xgroup("DESTROY", streamKey(0), groupName);
  await world.rows("alter table incidents rename to incidents_away");
  await assert.rejects(history.look(), /incidents/);
  await world.rows("alter table incidents_away rename to incidents");
  await history.look();
  assert.deepEqual(await incidents(world), [{ kind: "group_lost", shard: "0" }]);
});

test("an older copy of the data is reported once, also when more was appended to it than is missing", async (t) => {
  await using world = await createWorld();
  const redis = await restartableRedis(t);
  await historyOf(world, redis.client()).look();
  await append(redis.client(), 3);
  await redis.copyData();
  await append(redis.client(), 2);
  await historyOf(world, redis.client()).look();
  await redis.killAndRestart();
  await historyOf(world, redis.client()).look();
  assert.deepEqual(await incidents(world), [], "a restart alone is no incident");

  await redis.killAndRestart({ onCopy: true });
  await append(redis.client(), 9);
  await Promise.all([1, 2].map(() => historyOf(world, redis.client()).look()));
  await historyOf(world, redis.client()).look();
  const rows = await world.rows("select kind, details from incidents order by id");
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

test("a deleted folder is a lost stream, also for a consumer that was not there", async (t) => {
  await using world = await createWorld();
  const redis = await restartableRedis(t);
  await append(redis.client(), 5);
  await historyOf(world, redis.client()).look();
  await redis.killAndRestart({ empty: true });
  await readPositions(redis.client(), shards); // a server was faster
  await append(redis.client(), 1);
  await historyOf(world, redis.client()).look();
  const rows = await world.rows(
    "select kind, details->'waiting_before' as waiting from incidents where details->>'shard' = '0'",
  );
  assert.deepEqual(rows, [{ kind: "stream_lost", waiting: 5 }]);
});

test("trimmed entries are not missed", async (t) => {
  await using world = await createWorld();
  const redis = await restartableRedis(t);
  await append(redis.client(), 5);
  await historyOf(world, redis.client()).look();
  await append(redis.client(), 5);
  const newest = (await redis.client().xrevrange(streamKey(0), "+", "-", "COUNT", 1))[0]?.[0] ?? "";
  await redis.client().xtrim(streamKey(0), "MINID", newest);
  await redis.killAndRestart();
  await historyOf(world, redis.client()).look();
  assert.deepEqual(await incidents(world), []);
});

async function append(redis: Redis, count: number): Promise<void> {
  for (let n = 0; n < count; n++) await redis.xadd(streamKey(0), "*", "a", "b");
}
