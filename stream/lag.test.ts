import assert from "node:assert/strict";
import { test } from "node:test";
import { ensureGroups } from "./groups.ts";
import { groupName, streamKey } from "./keys.ts";
import { readLag } from "./lag.ts";
import { createAppender, makeEntry, startTestRedis } from "./testing/redis-clients.ts";

const exactly = (count: number) => ({ atLeast: count, atMost: count });

test("the lag contains undelivered and pending entries, and the age of the oldest", async (t) => {
  const redis = await (await startTestRedis(t)).client();
  await ensureGroups(redis, [0, 1]);
  await redis.xadd(streamKey(0), "1000-0", "a", "b");
  const appender = createAppender(redis);
  for (let n = 1; n <= 9; n++) await appender.append(makeEntry(n));
  const [before, empty] = await readLag(redis, [0, 1]);
  assert.deepEqual(empty, { shard: 1, undelivered: exactly(0), pendingEntries: 0, oldestAgeMs: 0 });
  assert.deepEqual(before?.undelivered, exactly(10));
  assert.equal(before.pendingEntries, 0);
  assert(before.oldestAgeMs > 1e12, "the undelivered entry of 1970 is the oldest");

  await redis.xreadgroup("GROUP", groupName, "c", "COUNT", 4, "STREAMS", streamKey(0), ">");
  const [after] = await readLag(redis, [0]);
  assert.deepEqual(after?.undelivered, exactly(6));
  assert.equal(after.pendingEntries, 4);
  assert(after.oldestAgeMs > 1e12, "and it still is, now pending");
});

test("entries are counted where Redis does not know the lag", async (t) => {
  const redis = await (await startTestRedis(t)).client();
  await ensureGroups(redis, [0]);
  const appender = createAppender(redis);
  for (let n = 1; n <= 9; n++) await appender.append(makeEntry(n));
  await redis.xreadgroup("GROUP", groupName, "c", "COUNT", 2, "STREAMS", streamKey(0), ">");
  const [, , , , middle] = await redis.xrange(streamKey(0), "-", "+");
  await redis.xdel(streamKey(0), middle?.[0] ?? "");
  for (const access of ["repair", "count"] as const) {
    const [lag] = await readLag(redis, [0], access);
    assert.deepEqual(lag?.undelivered, exactly(6));
    assert.equal(lag.pendingEntries, 2);
  }
});

test("without a group everything is undelivered; without a stream nothing is", async (t) => {
  const redis = await (await startTestRedis(t)).client();
  await createAppender(redis).append(makeEntry(1));
  const [withStream, without] = await readLag(redis, [0, 1]);
  assert.deepEqual(withStream?.undelivered, exactly(1));
  assert.deepEqual(without, { shard: 1, undelivered: exactly(0), pendingEntries: 0, oldestAgeMs: 0 });
});
