import assert from "node:assert/strict";
import { test } from "node:test";
import type { Redis } from "ioredis";
import { epochNumbers, readPositions } from "./epoch.ts";
import { ensureGroups } from "./groups.ts";
import { groupName, streamKey } from "./keys.ts";
import { appenderOn, makeEntry, redisFor } from "./testing/redis-clients.ts";

const epochs = async (redis: Redis, shards: readonly number[]) =>
  epochNumbers(await readPositions(redis, shards));

test("all who look at once see one epoch, and it stays", async (t) => {
  const server = await redisFor(t);
  const [a, b] = [await server.client(), await server.client()];
  const seen = await Promise.all([a, b, a, b].map((redis) => epochs(redis, [0, 1])));
  for (const epochs of seen) assert.deepEqual(epochs, seen[0]);
  assert.notEqual(seen[0]?.get(0), seen[0]?.get(1));
  await appenderOn(a).append(makeEntry(1));
  await ensureGroups(a, [0]);
  assert.deepEqual(await epochs(a, [0, 1]), seen[0]);
});

for (const [what, lose] of Object.entries({
  FLUSHALL: ["flushall"],
  "a deleted stream": ["del", streamKey(0)],
  "a destroyed group": ["xgroup", "destroy", streamKey(0), groupName],
})) {
  test(`after ${what} there is another epoch, also when the group was created again in between`, async (t) => {
    const redis = await (await redisFor(t)).client();
    const before = (await epochs(redis, [0])).get(0);
    await appenderOn(redis).append(makeEntry(1));
    await redis.call(...(lose as [string]));
    await ensureGroups(redis, [0]);
    const after = (await epochs(redis, [0])).get(0);
    assert.notEqual(after, before);
    assert.equal((await epochs(redis, [0])).get(0), after);
  });
}

test("a Redis that is full still tells the epoch", async (t) => {
  const redis = await (await redisFor(t)).client();
  const before = await epochs(redis, [0]);
  await redis.config("SET", "maxmemory", "1");
  assert.deepEqual(await epochs(redis, [0]), before);
});
