import assert from "node:assert/strict";
import { test } from "node:test";
import type { Redis } from "ioredis";
import { epochNumbers, readPositions } from "./epoch.ts";
import { ensureGroups } from "./groups.ts";
import { groupName, streamKey } from "./keys.ts";
import { createAppender, makeEntry, startTestRedis } from "./testing/redis-clients.ts";

const epochs = async (redis: Redis, shards: readonly number[]) =>
  epochNumbers(await readPositions(redis, shards));

test("concurrent callers see one epoch, and it stays", async (t) => {
  const server = await startTestRedis(t);
  const [a, b] = [await server.client(), await server.client()];
  const seen = await Promise.all([a, b, a, b].map((redis) => epochs(redis, [0, 1])));
  for (const epochs of seen) assert.deepEqual(epochs, seen[0]);
  assert.notEqual(seen[0]?.get(0), seen[0]?.get(1));
  await createAppender(a).append(makeEntry(1));
  await ensureGroups(a, [0]);
  assert.deepEqual(await epochs(a, [0, 1]), seen[0]);
});

for (const [what, lose] of Object.entries({
  FLUSHALL: ["flushall"],
  "a deleted stream": ["del", streamKey(0)],
  "a destroyed group": ["xgroup", "destroy", streamKey(0), groupName],
})) {
  test(`after ${what} there is another epoch, also when the group was created again in between`, async (t) => {
    const redis = await (await startTestRedis(t)).client();
    const before = (await epochs(redis, [0])).get(0);
    await createAppender(redis).append(makeEntry(1));
    await redis.call(...(lose as [string]));
    await ensureGroups(redis, [0]);
    const after = (await epochs(redis, [0])).get(0);
    assert.notEqual(after, before);
    assert.equal((await epochs(redis, [0])).get(0), after);
  });
}

test("the epoch can be read from a full Redis", async (t) => {
  const redis = await (await startTestRedis(t)).client();
  const before = await epochs(redis, [0]);
  await redis.config("SET", "maxmemory", "1");
  assert.deepEqual(await epochs(redis, [0]), before);
});

test("a position names the process of Redis and the history it continues, and the epoch depends on both", async (t) => {
  const redis = await (await startTestRedis(t)).client();
  const [position] = await readPositions(redis, [0]);
  assert(position);
  const runId = /run_id:(\w+)/.exec(await redis.info("server"))?.[1];
  const history = /master_replid:(\w+)/.exec(await redis.info("replication"))?.[1];
  assert.equal(position.process, `${runId}-${history}`);
  const number = (changes: Partial<typeof position>) => epochNumbers([{ ...position, ...changes }]).get(0);
  assert.equal(number({ entriesAdded: 5 }), number({}));
  for (const other of [`other-${history}`, `${runId}-other`]) {
    assert.notEqual(number({ process: other }), number({}));
  }
});

test("ids do not go back behind one that was given", async (t) => {
  const redis = await (await startTestRedis(t)).client();
  const given = `${Date.now() + 3_600_000}-5`;
  await readPositions(redis, [0], () => given);
  await readPositions(redis, [0], () => "1-0");
  assert.equal(await redis.xadd(streamKey(0), "*", "a", "b"), given.replace(/5$/, "6"));
});
