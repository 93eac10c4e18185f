import assert from "node:assert/strict";
import { test } from "node:test";
import { createRegistry } from "#lib/metrics.ts";
import { createDatabase } from "#postgres/pool.ts";
import { groupName, streamKey } from "#stream/keys.ts";
import { waitFor } from "#test/support/wait-for.ts";
import { LostGroups } from "./lost-groups.ts";
import { createMetrics } from "./metrics.ts";
import {
  createWorld,
  entryOf,
  logger,
  poolFor,
  records,
  shardCount,
  startConsumer,
  type World,
} from "./test-support.ts";

const shards = Array.from({ length: shardCount }, (_, shard) => shard);

function lostGroupsOf(world: World): LostGroups {
  const metrics = createMetrics(createRegistry("consumer"));
  return new LostGroups({ db: createDatabase(poolFor(world)), redis: world.redis, shards, metrics, logger });
}

const incidents = (world: World) =>
  world.rows("select kind, details->>'shard' as shard from incidents order by id");

test("groups of a system that has stored nothing yet are no incident", async () => {
  await using world = await createWorld();
  await lostGroupsOf(world).look();
  assert.deepEqual(await incidents(world), []);
});

test("a destroyed group is reported once, whoever made it again; then a flushed stream; then nothing", async () => {
  await using world = await createWorld();
  const [one, other] = [lostGroupsOf(world), lostGroupsOf(world)];
  await one.look();
  await startConsumer(world);
  await world.append(entryOf(1, records(3)));
  await waitFor("the batch", async () => (await world.count("records")) === 3);
  await one.look();
  assert.deepEqual(await incidents(world), []);

  await world.redis.xgroup("DESTROY", streamKey(0), groupName);
  await other.look();
  await one.look();
  assert.deepEqual(await incidents(world), [{ kind: "group_lost", shard: "0" }]);

  await world.redis.flushall();
  await one.look();
  await other.look();
  const flushed = (await incidents(world)).slice(1);
  assert.equal(flushed.length, shardCount);
  // Only a stream that has been given something can be seen to begin again.
  assert(flushed.some(({ kind }) => kind === "stream_lost"));

  await world.append(entryOf(2, records(3)));
  await waitFor("what came after", async () => (await world.count("records")) === 6);
  await one.look();
  assert.equal((await incidents(world)).length, 1 + shardCount);
});
