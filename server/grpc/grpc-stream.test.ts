import assert from "node:assert/strict";
import { after, test } from "node:test";
import { create, toBinary } from "@bufbuild/protobuf";
import { status } from "@grpc/grpc-js";
import { createAttributes } from "#proto/attributes.ts";
import { LogBatchSchema } from "#proto/gen/fleetlog/v1/log_pb.ts";
import { waitFor } from "#test/support/wait-for.ts";
import { streamLimits } from "../streams/batch-pipeline.ts";
import { encodeRequest, makeBatch, makeRecord } from "../testing/batches.ts";
import { connectGrpc, openStream } from "../testing/grpc-device.ts";
import { startServerAndRedis } from "../testing/server-program.ts";

const { redis, server, entries } = await startServerAndRedis({ after });

test("a thousand batches at once are acknowledged in order and are all in the stream", async (t) => {
  const stream = openStream(connectGrpc(t, server.grpc));
  const sequences = Array.from({ length: 1_000 }, (_, i) => i + 1);
  for (const n of sequences) stream.send(encodeRequest(makeBatch(n, { sessionId: "thousand" })));
  stream.call.end();
  assert.equal((await stream.ended).code, status.OK);
  assert.deepEqual(
    stream.acks.map(({ sequence }) => Number(sequence)),
    sequences,
  );
  const stored = await entries("thousand");
  assert.deepEqual(
    stored.map(({ sequence }) => Number(sequence)),
    sequences,
  );
});

test("the bytes of a batch arrive untouched", async (t) => {
  const stream = openStream(connectGrpc(t, server.grpc));
  const batch = makeBatch(1, {
    sessionId: "bytes",
    records: [makeRecord("ä\u{1f600}", { attributes: createAttributes({ a: "b" }) })],
  });
  stream.send(encodeRequest(batch));
  await waitFor("the ack", () => stream.acks.length === 1);
  const [entry] = await entries("bytes");
  assert.deepEqual(
    Buffer.from(entry?.batch ?? []),
    Buffer.from(toBinary(LogBatchSchema, create(LogBatchSchema, batch))),
  );
});

test("the device sees at once that its stream is open", async (t) => {
  const stream = openStream(connectGrpc(t, server.grpc));
  await new Promise((resolve) => stream.call.once("metadata", resolve));
  assert.deepEqual(stream.acks, []);
});

test("at the bound of batches in flight the server reads no further, and the device feels it", async (t) => {
  const stream = openStream(connectGrpc(t, server.grpc));
  await new Promise((resolve) => stream.call.once("metadata", resolve));
  process.kill(redis.pid, "SIGSTOP");
  t.after(() => process.kill(redis.pid, "SIGCONT"));
  const request = encodeRequest(makeBatch(1, { records: [makeRecord("x".repeat(60_000))] }));
  let sent = 0;
  // Only a device whose writes are taken goes on; each is 60 KB.
  const stalled = new Promise<void>((resolve) => {
    const write = () => {
      while (sent < 5_000 && stream.call.write(request)) sent += 1;
      sent += 1;
      resolve();
    };
    write();
  });
  await stalled;
  await waitFor("the bound", async () => (await server.metric("fleetlog_batches_in_flight")) > 0);
  let most = 0;
  for (let look = 0; look < 10; look++) {
    most = Math.max(most, await server.metric("fleetlog_batches_in_flight"));
  }
  assert(most <= streamLimits.batchesMax, `${most} batches in flight`);
  process.kill(redis.pid, "SIGCONT");
  await waitFor("every ack", () => stream.acks.length === sent);
});

test("a device that does not read its acks stops its own stream only", async (t) => {
  const stalled = openStream(connectGrpc(t, server.grpc));
  await new Promise((resolve) => stalled.call.once("metadata", resolve));
  stalled.call.pause();
  for (let n = 1; n <= 3_000; n++) stalled.send(encodeRequest(makeBatch(n, { sessionId: "stalled" })));
  const other = openStream(connectGrpc(t, server.grpc));
  for (let n = 1; n <= 100; n++) other.send(encodeRequest(makeBatch(n, { sessionId: "other" })));
  await waitFor("the other's acks", () => other.acks.length === 100);
  stalled.call.resume();
  await waitFor("all acks", () => stalled.acks.length === 3_000);
});

test("a device that hangs up in the middle leaves nothing behind", async (t) => {
  const stream = openStream(connectGrpc(t, server.grpc));
  for (let n = 1; n <= 100; n++) stream.send(encodeRequest(makeBatch(n, { sessionId: "gone" })));
  await waitFor("some acks", () => stream.acks.length > 0);
  stream.call.cancel();
  await waitFor("nothing in flight", async () => (await server.metric("fleetlog_batches_in_flight")) === 0);
  assert.equal((await server.readyz()).status, 200);
});
