import assert from "node:assert/strict";
import { test } from "node:test";
import { ensureGroups } from "./groups.ts";
import { groupName, streamKey } from "./keys.ts";
import { inspectGroups, markGroups } from "./known-groups.ts";
import { appenderOn, makeEntry, redisFor } from "./testing/redis-clients.ts";

test("a group is new until it is marked, and again when somebody has destroyed it", async (t) => {
  const redis = await (await redisFor(t)).client();
  const groups = await inspectGroups(redis, [0, 1]);
  assert.deepEqual(
    groups.map(({ isNew }) => isNew),
    [true, true],
  );
  await markGroups(redis, groups);
  await markGroups(redis, groups);
  assert((await inspectGroups(redis, [0, 1])).every(({ isNew }) => !isNew));

  await appenderOn(redis).append(makeEntry(1));
  await redis.xgroup("DESTROY", streamKey(0), groupName);
  await ensureGroups(redis, [0]); // somebody else was faster
  assert.deepEqual(await inspectGroups(redis, [0, 1]), [
    { shard: 0, isNew: true, entriesAdded: 1, entries: 1 },
    { shard: 1, isNew: false, entriesAdded: 0, entries: 0 },
  ]);
});

test("a flushed stream is told by its beginning again", async (t) => {
  const redis = await (await redisFor(t)).client();
  await appenderOn(redis).append(makeEntry(1));
  await markGroups(redis, await inspectGroups(redis, [0]));
  await redis.flushall();
  assert.deepEqual(await inspectGroups(redis, [0]), [{ shard: 0, isNew: true, entriesAdded: 0, entries: 0 }]);
});
