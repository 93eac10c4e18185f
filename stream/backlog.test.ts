import assert from "node:assert/strict";
import { test } from "node:test";
import type { Redis } from "ioredis";
import { readBacklog, readShardBacklog } from "./backlog.ts";
import { fieldValue } from "./group-info.ts";
import { ensureGroups } from "./groups.ts";
import { groupName, streamKey } from "./keys.ts";
import { createAppender, makeEntry } from "./testing/redis-clients.ts";
import { restartableRedis } from "./testing/restartable-redis.ts";

const exactly = (count: number) => ({ atLeast: count, atMost: count });

test("entries read before a restart are no backlog after it, however often the file is rewritten", async (t) => {
  const redis = await restartableRedis(t);
  await ensureGroups(redis.client(), [0]);
  for (let round = 1; round <= 2; round += 1) {
    await appendAndRead(redis.client(), 200);
    await redis.rewriteFile();
    await appendAndRead(redis.client(), 300);
    await redis.killAndRestart();

    assert((await redisLag(redis.client())) > 0, "Redis itself reports a backlog that is not there");
    assert.deepEqual(await readBacklog(redis.client(), [0]), exactly(0));
    await append(redis.client(), 5);
    assert.deepEqual((await readShardBacklog(redis.client(), 0, "count")).undelivered, exactly(5));
    assert.deepEqual((await readShardBacklog(redis.client(), 0, "repair")).undelivered, exactly(5));
    assert.equal(await redisLag(redis.client()), 5, "and is put right");
    assert.deepEqual(await readBacklog(redis.client(), [0]), exactly(5));
    await read(redis.client());
    assert.equal(await redisLag(redis.client()), 0);
  }
});

test("a long backlog that was not verified since the restart has bounds, and is exact once it is short", async (t) => {
  const redis = await restartableRedis(t);
  await ensureGroups(redis.client(), [0]);
  await appendAndRead(redis.client(), 300);
  await redis.rewriteFile();
  await appendAndRead(redis.client(), 300);
  await append(redis.client(), 1_500);
  await redis.killAndRestart();

  assert.deepEqual(await readBacklog(redis.client(), [0]), { atLeast: 1, atMost: 1_800 });
  assert.deepEqual((await readShardBacklog(redis.client(), 0, "repair")).undelivered, {
    atLeast: 1_000,
    atMost: 1_800,
  });
  await read(redis.client(), 1_000);
  assert.deepEqual((await readShardBacklog(redis.client(), 0, "repair")).undelivered, exactly(500));
  await append(redis.client(), 2_000);
  assert.deepEqual(await readBacklog(redis.client(), [0]), exactly(2_500));
});

test("entries that are read and not acknowledged are part of the backlog", async (t) => {
  const redis = await restartableRedis(t);
  await ensureGroups(redis.client(), [0]);
  await append(redis.client(), 10);
  await redis.client().xreadgroup("GROUP", groupName, "c", "COUNT", 4, "STREAMS", streamKey(0), ">");
  await readShardBacklog(redis.client(), 0, "repair");
  assert.deepEqual(await readBacklog(redis.client(), [0]), exactly(10));
});

async function append(redis: Redis, count: number): Promise<void> {
  const appender = createAppender(redis);
  await Promise.all(Array.from({ length: count }, (_, n) => appender.append(makeEntry(n + 1))));
}

async function read(redis: Redis, count = 10_000): Promise<void> {
  const key = streamKey(0);
  const reply = await redis.xreadgroup("GROUP", groupName, "c", "COUNT", count, "STREAMS", key, ">");
  const [[, entries] = ["", []]] = reply as [string, [string, string[]][]][];
  await redis.xack(key, groupName, ...entries.map(([id]) => id));
}

async function appendAndRead(redis: Redis, count: number): Promise<void> {
  await append(redis, count);
  await read(redis);
}

/** The lag by Redis itself. */
async function redisLag(redis: Redis): Promise<number> {
  const [group] = (await redis.call("xinfo", "GROUPS", streamKey(0))) as unknown[][];
  return Number(fieldValue(group ?? [], "lag"));
}
