import assert from "node:assert/strict";
import { test } from "node:test";
import { Redis } from "ioredis";
import { waitFor } from "#test/support/wait-for.ts";
import { acknowledge } from "./ack.ts";
import { readConnection } from "./connection.ts";
import type { Deliveries } from "./delivery.ts";
import { ensureGroups } from "./groups.ts";
import { groupName, streamKey } from "./keys.ts";
import { StreamReader } from "./reader.ts";
import { createAppender, makeEntry, startTestRedis } from "./testing/redis-clients.ts";

const options = { shards: [0], consumer: "consumer-1", countMax: 100, bytesMax: 64 << 20 };

function toSequences({ entries }: Deliveries): number[] {
  return entries.map(({ entry }) => Number(entry.sequence));
}

/** Reads until it has this many entries. */
async function readCount(reader: StreamReader, count: number): Promise<Deliveries> {
  const all: Deliveries = { entries: [], malformed: [], deleted: [] };
  await waitFor(`${count} entries`, async () => {
    const { entries, malformed, deleted } = await reader.read();
    all.entries.push(...entries);
    all.malformed.push(...malformed);
    all.deleted.push(...deleted);
    return all.entries.length >= count;
  });
  return all;
}

test("a group created late sees the entries appended before it", async (t) => {
  const redis = await (await startTestRedis(t)).client();
  await createAppender(redis).append(makeEntry(1));
  await ensureGroups(redis, [0]);
  await ensureGroups(redis, [0]); // and creating it again changes nothing
  assert.deepEqual(toSequences(await readCount(new StreamReader(redis, options), 1)), [1]);
});

test("a destroyed group is created again at 0, and no entry is skipped", async (t) => {
  const redis = await (await startTestRedis(t)).client();
  const appender = createAppender(redis);
  await ensureGroups(redis, [0]);
  const reader = new StreamReader(redis, options);
  await appender.append(makeEntry(1));
  await readCount(reader, 1);
  await redis.xgroup("DESTROY", streamKey(0), groupName);
  await appender.append(makeEntry(2));
  assert.deepEqual(toSequences(await readCount(reader, 2)), [1, 2]);
});

test("a restarted consumer first gets all of its pending entries, then new ones", async (t) => {
  const redis = await (await startTestRedis(t)).client();
  const appender = createAppender(redis);
  await ensureGroups(redis, [0]);
  for (let n = 1; n <= 25; n++) await appender.append(makeEntry(n));
  const before = await readCount(new StreamReader(redis, options), 25);
  await acknowledge(redis, before.entries.slice(0, 3));
  await appender.append(makeEntry(26));
  const restarted = new StreamReader(redis, { ...options, countMax: 4 });
  assert.deepEqual(
    toSequences(await readCount(restarted, 23)),
    Array.from({ length: 23 }, (_, i) => i + 4),
  );
});

test("one reader reads several shards, also those that were empty at first", async (t) => {
  const server = await startTestRedis(t);
  const redis = await server.client();
  const shards = [0, 1, 2, 3];
  await ensureGroups(redis, shards);
  const reader = new StreamReader(redis, { ...options, shards });
  await reader.read();
  const appender = createAppender(await server.client(), 4);
  const devices = Array.from({ length: 12 }, (_, i) => `device-${i}`);
  await Promise.all(devices.map((device) => appender.append(makeEntry(1, device))));
  const { entries } = await readCount(reader, 12);
  assert.deepEqual(entries.map(({ entry }) => entry.deviceId).sort(), devices.toSorted());
  assert.deepEqual(new Set(entries.map(({ shard }) => shard)), new Set(shards));
});

test("an acknowledged entry is not delivered again", async (t) => {
  const redis = await (await startTestRedis(t)).client();
  await ensureGroups(redis, [0]);
  await createAppender(redis).append(makeEntry(1));
  const { entries } = await readCount(new StreamReader(redis, options), 1);
  await acknowledge(redis, entries);
  assert.deepEqual((await new StreamReader(redis, options).read()).entries, []);
});

test("a malformed entry is delivered with its reason, between its neighbours", async (t) => {
  const redis = await (await startTestRedis(t)).client();
  const appender = createAppender(redis);
  await ensureGroups(redis, [0]);
  await appender.append(makeEntry(1));
  const id = await redis.xadd(streamKey(0), "*", "version", "1", "device", "x");
  await appender.append(makeEntry(2));
  const { entries, malformed } = await readCount(new StreamReader(redis, options), 2);
  assert.equal(entries.length, 2);
  assert.equal(malformed.length, 1);
  assert.equal(malformed[0]?.id, id);
  assert.match(malformed[0]?.error.message ?? "", /"digest" is missing/);
  assert.deepEqual(malformed[0]?.fields.map(String), ["version", "1", "device", "x"]);
});

test("a pending entry that was deleted is reported, not skipped", async (t) => {
  const redis = await (await startTestRedis(t)).client();
  await ensureGroups(redis, [0]);
  await createAppender(redis).append(makeEntry(1));
  const { entries } = await readCount(new StreamReader(redis, options), 1);
  await redis.xdel(streamKey(0), entries[0]?.id ?? "");
  const { deleted } = await new StreamReader(redis, options).read();
  assert.deepEqual(deleted, [{ shard: 0, id: entries[0]?.id }]);
});

test("large batches are read few at a time", async (t) => {
  const redis = await (await startTestRedis(t)).client();
  const appender = createAppender(redis);
  await ensureGroups(redis, [0]);
  for (let n = 1; n <= 20; n++) await appender.append(makeEntry(n, "device-1", 1 << 19));
  const reader = new StreamReader(redis, { ...options, bytesMax: 2 << 20 });
  for (let seen = 0; seen < 20; ) {
    const { entries } = await reader.read();
    assert(entries.length <= 4, `${entries.length} entries of 512 KiB in one read`);
    seen += entries.length;
  }
});

test("a read from a Redis that hangs fails, and the next one succeeds when it is back", async (t) => {
  const server = await startTestRedis(t);
  const redis = await server.client();
  await ensureGroups(redis, [0]);
  const connection = new Redis(server.url, { ...readConnection });
  connection.on("error", () => {});
  t.after(() => connection.disconnect());
  await waitFor("the connection", () => connection.status === "ready");
  const reader = new StreamReader(connection, options);
  await reader.read();
  process.kill(server.pid, "SIGSTOP");
  await assert.rejects(reader.read());
  process.kill(server.pid, "SIGCONT");
  await waitFor("a read", () => reader.read().then(() => true));
});
