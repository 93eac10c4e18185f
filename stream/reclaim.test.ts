import assert from "node:assert/strict";
import { test } from "node:test";
import { ensureGroups } from "./groups.ts";
import { groupName, streamKey } from "./keys.ts";
import { Reclaimer } from "./reclaim.ts";
import { createAppender, makeEntry, startTestRedis } from "./testing/redis-clients.ts";

const entryCount = 250;

async function leaveBehind(t: Parameters<typeof startTestRedis>[0]) {
  const redis = await (await startTestRedis(t)).client();
  await ensureGroups(redis, [0]);
  const appender = createAppender(redis);
  await Promise.all(Array.from({ length: entryCount }, (_, i) => appender.append(makeEntry(i + 1))));
  await redis.xreadgroup("GROUP", groupName, "dead", "COUNT", 1_000, "STREAMS", streamKey(0), ">");
  return redis;
}

test("all entries of a dead consumer are taken over, in many calls", async (t) => {
  const redis = await leaveBehind(t);
  const reclaimer = new Reclaimer(redis, { shards: [0], consumer: "alive", idleMinMs: 0, countMax: 20 });
  const sequences: number[] = [];
  let calls = 0;
  do {
    const { entries } = await reclaimer.reclaim();
    assert(entries.length <= 20);
    sequences.push(...entries.map(({ entry }) => Number(entry.sequence)));
    calls += 1;
  } while (!reclaimer.isAtStart);
  assert.deepEqual(
    sequences,
    Array.from({ length: entryCount }, (_, i) => i + 1),
  );
  assert(calls > 10);
  const consumers = await redis.xpending(streamKey(0), groupName);
  assert.deepEqual(consumers[3], [["alive", String(entryCount)]]);
});

test("an entry that is not idle for long enough stays with its consumer", async (t) => {
  const redis = await leaveBehind(t);
  const reclaimer = new Reclaimer(redis, {
    shards: [0],
    consumer: "alive",
    idleMinMs: 60_000,
    countMax: 1_000,
  });
  assert.deepEqual((await reclaimer.reclaim()).entries, []);
});

test("pending entries that were deleted are reported", async (t) => {
  const redis = await leaveBehind(t);
  const [first] = await redis.xrange(streamKey(0), "-", "+", "COUNT", 1);
  const id = first?.[0] ?? "";
  await redis.xdel(streamKey(0), id);
  const reclaimer = new Reclaimer(redis, { shards: [0], consumer: "alive", idleMinMs: 0, countMax: 1_000 });
  const { entries, deleted } = await reclaimer.reclaim();
  assert.deepEqual(deleted, [{ shard: 0, id }]);
  assert.equal(entries.length, entryCount - 1);
});
