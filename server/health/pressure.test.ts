import assert from "node:assert/strict";
import { test } from "node:test";
import { type ServiceError, status } from "@grpc/grpc-js";
import { Redis } from "ioredis";
import { allShards, groupName, streamKey } from "#stream/keys.ts";
import { readMemory } from "#stream/memory.ts";
import { startRedis } from "#test/support/redis.ts";
import { waitFor } from "#test/support/wait-for.ts";
import { encodeRequest, makeBatch, makeRecord } from "../testing/batches.ts";
import { connectGrpc, openStream, pushGrpc, readDetails } from "../testing/grpc-device.ts";
import { startServer, startServerAndRedis } from "../testing/server-program.ts";

test("above the high mark of the backlog calls and streams are refused, and accepted again below the low one", async (t) => {
  const { redis, server } = await startServerAndRedis(t, { BACKLOG_ENTRIES_MAX: "100" });
  const admin = new Redis(redis.url);
  t.after(() => admin.disconnect());
  const client = connectGrpc(t, server.grpc);
  const stream = openStream(client);
  for (let n = 1; n <= 100; n++) stream.send(encodeRequest(makeBatch(n)));
  await waitFor("all acks", () => stream.acks.length === 100);
  assert.deepEqual(
    stream.acks.filter(({ error }) => error),
    [],
    "below the mark nothing is refused",
  );

  const refusal = await waitFor("a refusal", async () => {
    const error = await pushGrpc(client, encodeRequest(makeBatch(101))).catch((error: ServiceError) => error);
    return error instanceof Error && error;
  });
  assert.equal(refusal.code, status.RESOURCE_EXHAUSTED);
  assert.match(refusal.details, /batches wait to be stored/);
  assert((readDetails(refusal.metadata).retryDelayMs ?? 0) >= 1_000);
  const taken = stream.acks.length;
  stream.send(encodeRequest(makeBatch(102)));
  const ack = await waitFor("the answer", () => stream.acks[taken]);
  assert.equal(ack.error?.code, status.RESOURCE_EXHAUSTED);
  assert(ack.error.retryDelayMs >= 1_000);
  const readyz = await server.readyz();
  assert.equal(readyz.status, 200, "an overloaded server is still the one to ask");
  assert.match(readyz.text, /^ready\ningest: refusing batches: \d+ batches wait to be stored/);
  assert.equal(await server.metric('fleetlog_backpressure{reason="backlog"'), 1);

  for (const shard of allShards(2)) {
    const key = streamKey(shard);
    await admin.xreadgroup("GROUP", groupName, "test", "STREAMS", key, ">");
    const ids = (await admin.xrange(key, "-", "+")).map(([id]) => id);
    if (ids.length > 0) await admin.xack(key, groupName, ...ids);
  }
  await waitFor("batches to be taken again", async () => {
    stream.send(encodeRequest(makeBatch(103)));
    return (await waitFor("an answer", () => stream.acks.at(-1)))?.error === undefined;
  });
});

test("batches are refused before Redis is full, so that consumers can still acknowledge", async (t) => {
  const redis = await startRedis({ maxmemory: "40mb" });
  t.after(() => redis[Symbol.asyncDispose]());
  const server = await startServer(t, redis.url, { REDIS_MEMORY_PERCENT_MAX: "50" });
  const admin = new Redis(redis.url);
  t.after(() => admin.disconnect());
  const client = connectGrpc(t, server.grpc);
  const records = [makeRecord("x".repeat(50_000))];
  let sequence = 0;
  const push = (): Promise<ServiceError | undefined> =>
    pushGrpc(client, encodeRequest(makeBatch(++sequence, { records }))).then(
      () => undefined,
      (error: ServiceError) => error,
    );
  const error = await waitFor("a refusal", async () => {
    const answers = await Promise.all(Array.from({ length: 10 }, push));
    return answers.find((answer) => answer !== undefined);
  });
  assert.equal(error.code, status.RESOURCE_EXHAUSTED);
  assert.match(error.details, /Redis uses \d+ % of its memory/);
  const { usedBytes, bytesMax } = await readMemory(admin);
  assert(usedBytes < bytesMax);
  await admin.flushall();
  await waitFor("batches to be taken again", async () => (await push()) === undefined);
});
