import assert from "node:assert/strict";
import { test } from "node:test";
import { type ServiceError, status } from "@grpc/grpc-js";
import { Redis } from "ioredis";
import { startRedis } from "#test/support/redis.ts";
import { waitFor } from "#test/support/wait-for.ts";
import { encodeRequest, makeBatch } from "../testing/batches.ts";
import { connectGrpc, openStream, pushGrpc, readDetails } from "../testing/grpc-device.ts";
import { startServer, startServerAndRedis } from "../testing/server-program.ts";

test("while Redis is unreachable batches are refused at once, and the server recovers without a restart", async (t) => {
  const { redis, server } = await startServerAndRedis(t);
  const client = connectGrpc(t, server.grpc);
  const stream = openStream(client);
  stream.send(encodeRequest(makeBatch(1)));
  await waitFor("the first ack", () => stream.acks.length === 1);

  process.kill(redis.pid, "SIGKILL");
  await waitFor("not ready", async () => (await server.readyz()).status === 503);
  assert.match((await server.readyz()).text, /Redis is unreachable/);
  const error = await pushGrpc(client, encodeRequest(makeBatch(2))).catch((error: ServiceError) => error);
  assert(error instanceof Error && error.code === status.UNAVAILABLE);
  assert((readDetails(error.metadata).retryDelayMs ?? 0) >= 1_000);
  stream.send(encodeRequest(makeBatch(2)));
  const refused = await waitFor("the second ack", () => stream.acks[1]);
  assert.equal(refused.error?.code, status.UNAVAILABLE);
  assert(refused.error.retryDelayMs >= 1_000);

  const again = await startRedis({ port: String(redis.port) });
  t.after(() => again[Symbol.asyncDispose]());
  await waitFor("ready", async () => (await server.readyz()).status === 200);
  stream.send(encodeRequest(makeBatch(2)));
  const taken = await waitFor("the third ack", () => stream.acks[2]);
  assert.equal(taken.error, undefined);
  assert.equal(taken.sequence, 2n);
  assert.equal((await pushGrpc(client, encodeRequest(makeBatch(3))))?.accepted, 1);
});

test("while Redis hangs, batches are refused within seconds, and never acknowledged", async (t) => {
  const { redis, server } = await startServerAndRedis(t);
  process.kill(redis.pid, "SIGSTOP");
  const client = connectGrpc(t, server.grpc);
  for (let time = 0; time < 2; time += 1) {
    await assert.rejects(pushGrpc(client, encodeRequest(makeBatch(1))), {
      code: status.UNAVAILABLE,
      details: "Redis is unreachable",
    });
  }
  process.kill(redis.pid, "SIGCONT");
  await waitFor("an ack", () => pushGrpc(client, encodeRequest(makeBatch(1))));
});

test("while Redis is full, calls and streams are refused with a delay, and streams stay open", async (t) => {
  const { redis, server } = await startServerAndRedis(t);
  const admin = new Redis(redis.url);
  t.after(() => admin.disconnect());
  await admin.config("SET", "maxmemory", "1");
  const client = connectGrpc(t, server.grpc);
  const error = await pushGrpc(client, encodeRequest(makeBatch(1))).catch((error: ServiceError) => error);
  assert(error instanceof Error && error.code === status.RESOURCE_EXHAUSTED);
  assert((readDetails(error.metadata).retryDelayMs ?? 0) >= 1_000);
  const stream = openStream(client);
  stream.send(encodeRequest(makeBatch(1)));
  const refused = await waitFor("the refusal", () => stream.acks[0]);
  assert.equal(refused.error?.code, status.RESOURCE_EXHAUSTED);
  assert(refused.error.retryDelayMs >= 1_000);
  await admin.config("SET", "maxmemory", "0");
  stream.send(encodeRequest(makeBatch(1)));
  assert.equal((await waitFor("the ack", () => stream.acks[1])).error, undefined);
});

test("a Redis with unsafe settings is reported, and batches are refused", async (t) => {
  const redis = await startRedis({ appendfsync: "everysec" });
  t.after(() => redis[Symbol.asyncDispose]());
  const server = await startServer(t, redis.url);
  await waitFor("the reason", async () => /appendfsync is "everysec"/.test((await server.readyz()).text));
  const client = connectGrpc(t, server.grpc);
  await assert.rejects(pushGrpc(client, encodeRequest(makeBatch(1))), {
    code: status.UNAVAILABLE,
    details: /appendfsync/,
  });
});

test("a server that starts before Redis becomes ready once Redis runs", async (t) => {
  const first = await startRedis();
  await first[Symbol.asyncDispose]();
  const server = await startServer(t, first.url);
  assert.equal((await server.readyz()).status, 503);
  const redis = await startRedis({ port: String(first.port) });
  t.after(() => redis[Symbol.asyncDispose]());
  await waitFor("ready", async () => (await server.readyz()).status === 200);
});
