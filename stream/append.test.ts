import assert from "node:assert/strict";
import { test } from "node:test";
import { Redis } from "ioredis";
import { waitFor } from "#test/support/wait-for.ts";
import { StreamAppender } from "./append.ts";
import { answerTimeoutMs, commandConnection } from "./connection.ts";
import { decodeEntry } from "./entry.ts";
import { StreamFullError, StreamUnavailableError } from "./errors.ts";
import { streamKey, toShard } from "./keys.ts";
import { createAppender, makeEntry, startTestRedis } from "./testing/redis-clients.ts";

test("an append is acknowledged only when Redis answered", async (t) => {
  const server = await startTestRedis(t);
  const redis = await server.client();
  const appender = createAppender(redis);
  process.kill(server.pid, "SIGSTOP");
  let answered = false;
  const append = appender.append(makeEntry(1)).then(() => (answered = true));
  await waitFor("the append to be in flight", () => appender.inFlight === 1);
  assert.equal(answered, false);
  process.kill(server.pid, "SIGCONT");
  await append;
  assert.equal(await redis.xlen(streamKey(0)), 1);
  assert.equal(appender.inFlight, 0);
});

test("an appended entry is stored byte for byte, in the shard of its device", async (t) => {
  const server = await startTestRedis(t);
  const redis = await server.client();
  const shards = 4;
  const appender = createAppender(redis, shards);
  const sizes = [1, 300, 4_096, 4_097, 70_000]; // below and above the size up to which batches are copied
  const entries = Array.from({ length: 200 }, (_, i) => ({
    ...makeEntry(i + 1, `device-${i % 7}`, sizes[i % sizes.length]),
    ...(i % 3 === 0 && { deadLetterId: BigInt(i) }),
  }));
  await Promise.all(entries.map((entry) => appender.append(entry)));
  for (const entry of entries) {
    const found = await redis.xrangeBuffer(streamKey(toShard(entry.deviceId, shards)), "-", "+");
    const match = found.map(([, fields]) => decodeEntry(fields)).find((e) => e.sequence === entry.sequence);
    assert.deepEqual(match, entry);
  }
});

test("the batches of one device are in the order in which they were appended", async (t) => {
  const redis = await (await startTestRedis(t)).client();
  const appender = createAppender(redis);
  const sequences = Array.from({ length: 500 }, (_, i) => i + 1);
  await Promise.all(sequences.map((sequence) => appender.append(makeEntry(sequence))));
  const stored = await redis.xrangeBuffer(streamKey(0), "-", "+");
  assert.deepEqual(
    stored.map(([, fields]) => Number(decodeEntry(fields).sequence)),
    sequences,
  );
});

test("a full Redis refuses with StreamFullError, each append on its own, and accepts batches again later", async (t) => {
  const redis = await (await startTestRedis(t)).client();
  const appender = createAppender(redis);
  await redis.config("SET", "maxmemory", "1");
  const refused = await Promise.allSettled([appender.append(makeEntry(1)), appender.append(makeEntry(2))]);
  for (const result of refused) {
    assert(result.status === "rejected" && result.reason instanceof StreamFullError, result.status);
    assert.match(result.reason.message, /OOM/);
  }
  await redis.config("SET", "maxmemory", "0");
  await appender.append(makeEntry(3));
  assert.equal(await redis.xlen(streamKey(0)), 1);
});

test("one refused append does not fail its neighbours of the same turn", async (t) => {
  const redis = await (await startTestRedis(t)).client();
  const appender = createAppender(redis, 2);
  const [zero, one] = [0, 1].map((shard) => {
    for (let i = 0; ; i++) if (toShard(`device-${i}`, 2) === shard) return `device-${i}`;
  });
  await redis.set(streamKey(1), "not a stream");
  const [good, bad] = await Promise.allSettled([
    appender.append(makeEntry(1, zero)),
    appender.append(makeEntry(1, one)),
  ]);
  assert.equal(good.status, "fulfilled");
  assert(bad.status === "rejected" && bad.reason instanceof StreamUnavailableError);
  assert.match(bad.reason.message, /WRONGTYPE/);
});

test("a Redis that died fails its appends at once, and the appender recovers when it is back", async (t) => {
  const server = await startTestRedis(t);
  const redis = await server.client();
  const appender = createAppender(redis);
  process.kill(server.pid, "SIGSTOP");
  const underWay = appender.append(makeEntry(1));
  process.kill(server.pid, "SIGKILL");
  await assert.rejects(underWay, StreamUnavailableError);
  await assert.rejects(appender.append(makeEntry(2)), StreamUnavailableError);
  assert.equal(appender.inFlight, 0);

  await startTestRedis(t, { port: new URL(server.url).port });
  await waitFor("an append to succeed", () => appender.append(makeEntry(3)).then(() => true));
});

test("a Redis that hangs fails its appends within the timeout, and appends do not pile up", async (t) => {
  const server = await startTestRedis(t);
  const redis = await server.client();
  const appender = createAppender(redis);
  process.kill(server.pid, "SIGSTOP");
  await waitFor(
    "the append to be refused",
    () =>
      appender.append(makeEntry(1)).then(
        () => false,
        (error) => error instanceof StreamUnavailableError,
      ),
    answerTimeoutMs + 3_000,
  );
  const pile = Array.from({ length: 100 }, (_, i) => appender.append(makeEntry(i, "device-1", 1 << 20)));
  for (const result of await Promise.allSettled(pile)) assert.equal(result.status, "rejected");
  assert.equal(appender.inFlight, 0);
  process.kill(server.pid, "SIGCONT");
  await waitFor("an append to succeed", () => appender.append(makeEntry(3)).then(() => true));
});

test("an append before the first connection is refused at once", async (t) => {
  const redis = new Redis("redis://127.0.0.1:1", { ...commandConnection });
  redis.on("error", () => {}); // no Redis listens on this port
  t.after(() => redis.disconnect());
  await assert.rejects(createAppender(redis).append(makeEntry(1)), StreamUnavailableError);
});

test("appends beyond the limit are refused without being sent", async (t) => {
  const redis = await (await startTestRedis(t)).client();
  const appender = new StreamAppender(redis, { shards: 1, inFlightMax: 3, inFlightBytesMax: 200 });
  const results = await Promise.allSettled([1, 2, 3, 4].map((n) => appender.append(makeEntry(n, "d", 50))));
  assert.deepEqual(
    results.map(({ status }) => status),
    ["fulfilled", "fulfilled", "fulfilled", "rejected"],
  );
  await assert.rejects(appender.append(makeEntry(5, "d", 201)), StreamFullError);
  assert.equal(await redis.xlen(streamKey(0)), 3);
});

test("capacity for batches in flight is freed whatever Redis answers", async (t) => {
  const redis = await (await startTestRedis(t)).client();
  const appender = new StreamAppender(redis, { shards: 1, inFlightMax: 3, inFlightBytesMax: 200 });
  await redis.config("SET", "maxmemory", "1");
  await assert.rejects(appender.append(makeEntry(1, "d", 150)), StreamFullError);
  await redis.config("SET", "maxmemory", "0");
  for (let n = 2; n <= 9; n++) await appender.append(makeEntry(n, "d", 150));
  assert.deepEqual([appender.inFlight, appender.inFlightBytes], [0, 0]);
});
