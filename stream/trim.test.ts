import assert from "node:assert/strict";
import { test } from "node:test";
import type { Redis } from "ioredis";
import { acknowledge } from "./ack.ts";
import type { EntryPosition } from "./delivery.ts";
import { compareIds } from "./group-info.ts";
import { ensureGroups } from "./groups.ts";
import { readIdRange } from "./id-range.ts";
import { groupName, streamKey } from "./keys.ts";
import { createAppender, makeEntry, startTestRedis } from "./testing/redis-clients.ts";
import { trim } from "./trim.ts";

const nothing = { windowMs: 0, bytesMax: 0 };
const hour = { windowMs: 3_600_000 };

/** A stream of `count` large entries (one per node, so that trimming is exact), the first `delivered` of them delivered. */
async function prepare(t: Parameters<typeof startTestRedis>[0], count: number, delivered: number) {
  const redis = await (await startTestRedis(t)).client();
  await ensureGroups(redis, [0]);
  const appender = createAppender(redis);
  await Promise.all(Array.from({ length: count }, (_, i) => appender.append(makeEntry(i + 1, "d", 5_000))));
  if (delivered > 0) {
    await redis.xreadgroup("GROUP", groupName, "c", "COUNT", delivered, "STREAMS", streamKey(0), ">");
  }
  const ids = await idsIn(redis);
  return { redis, ids, places: ids.map((id): EntryPosition => ({ shard: 0, id })) };
}

async function idsIn(redis: Redis): Promise<string[]> {
  return (await redis.xrange(streamKey(0), "-", "+")).map(([id]) => id);
}

test("acknowledged entries are removed, except the last one delivered", async (t) => {
  const { redis, ids, places } = await prepare(t, 50, 50);
  await acknowledge(redis, places);
  await trim(redis, 0, nothing);
  assert.deepEqual(await idsIn(redis), ids.slice(-1));
});

test("a pending entry is never removed, nor any after it", async (t) => {
  const { redis, ids, places } = await prepare(t, 50, 50);
  await acknowledge(redis, [...places.slice(0, 10), ...places.slice(11)]);
  await trim(redis, 0, nothing);
  assert.deepEqual(await idsIn(redis), ids.slice(10));
});

test("an undelivered entry is never removed", async (t) => {
  const { redis, ids, places } = await prepare(t, 50, 20);
  await acknowledge(redis, places.slice(0, 20));
  await trim(redis, 0, nothing);
  assert.deepEqual(await idsIn(redis), ids.slice(19));
  await redis.xgroup("DESTROY", streamKey(0), groupName);
  assert.equal(await trim(redis, 0, nothing), 0);
});

test("entries that a second group has not acknowledged stay", async (t) => {
  const { redis, ids, places } = await prepare(t, 20, 20);
  await redis.xgroup("CREATE", streamKey(0), "other", "0");
  await acknowledge(redis, places);
  assert.equal(await trim(redis, 0, nothing), 0);
  assert.equal((await idsIn(redis)).length, ids.length);
});

test("the tail window stays for live tail", async (t) => {
  const { redis, places } = await prepare(t, 20, 20);
  await acknowledge(redis, places);
  assert.equal(await trim(redis, 0, { ...hour, bytesMax: 1 << 20 }), 0);
});

test("the tail window keeps at most about its limit of bytes", async (t) => {
  const redis = await (await startTestRedis(t)).client();
  await ensureGroups(redis, [0]);
  const nowMs = Date.now();
  const field = "x".repeat(5_000);
  for (let i = 0; i < 20; i++) {
    // The newest is from now, each other one a second older than the next.
    await redis.xadd(streamKey(0), `${nowMs - (19 - i) * 1_000}-0`, "batch", field);
  }
  const ids = await idsIn(redis);
  await redis.xreadgroup("GROUP", groupName, "c", "COUNT", 20, "STREAMS", streamKey(0), ">");
  await acknowledge(
    redis,
    ids.map((id) => ({ shard: 0, id })),
  );
  await trim(redis, 0, { ...hour, bytesMax: 30_000 });
  const left = await idsIn(redis);
  assert(left.length >= 3 && left.length <= 7, `${left.length} entries of 5 KB for 30 KB`);
  assert.deepEqual(left, ids.slice(-left.length));
});

test("a shard without a stream is left alone", async (t) => {
  const redis = await (await startTestRedis(t)).client();
  assert.equal(await trim(redis, 0, nothing), 0);
});

test("a stream without entries has nothing to remove", async (t) => {
  const redis = await (await startTestRedis(t)).client();
  await ensureGroups(redis, [0]);
  assert.equal(await trim(redis, 0, nothing), 0);
  const { nowMs, firstMs, bytes } = await readIdRange(redis, 0);
  assert.deepEqual([firstMs, bytes], [nowMs, 0]);
});

test("ids are compared as numbers", () => {
  assert(compareIds("999-0", "1000-0") < 0);
  assert(compareIds("1000-9", "1000-10") < 0);
  assert.equal(compareIds("1000-1", "1000-1"), 0);
});
