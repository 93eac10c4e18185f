import assert from "node:assert/strict";
import { test } from "node:test";
import { status } from "@grpc/grpc-js";
import { waitFor } from "#test/support/wait-for.ts";
import { streamLimits } from "./streams/batch-pipeline.ts";
import { encodeRequest, makeBatch } from "./testing/batches.ts";
import { connectGrpc, openStream } from "./testing/grpc-device.ts";
import { startServerAndRedis } from "./testing/server-program.ts";

test("a stopping server answers what it has read, ends its streams with UNAVAILABLE, and exits 0", async (t) => {
  const { server, entries } = await startServerAndRedis(t);
  const stream = openStream(connectGrpc(t, server.grpc));
  let sent = 0;
  const sender = setInterval(() => {
    for (let i = 0; i < 20; i++) stream.send(encodeRequest(makeBatch(++sent, { sessionId: "drained" })));
  }, 1);
  t.after(() => clearInterval(sender));
  await waitFor("some acks", () => stream.acks.length > 50);
  process.kill(server.pid, "SIGTERM");
  const { code, details } = await stream.ended;
  clearInterval(sender);
  assert.equal(code, status.UNAVAILABLE);
  assert.match(details, /reconnect/);
  assert.equal(await server.exited, 0);
  const acked = stream.acks.map(({ sequence }) => Number(sequence));
  assert.deepEqual(
    acked,
    acked.map((_, i) => i + 1),
    "acks in order, without a gap",
  );
  const stored = (await entries("drained")).map(({ sequence }) => Number(sequence));
  assert.deepEqual(stored, acked, "what is stored is what was acknowledged");
});

test("a device that does not read cannot keep the server from stopping", async (t) => {
  const { server } = await startServerAndRedis(t);
  const stalled = openStream(connectGrpc(t, server.grpc));
  await new Promise((resolve) => stalled.call.once("metadata", resolve));
  stalled.call.pause();
  const many = makeBatch(1, { records: Array.from({ length: 5_000 }, () => ({ message: "\0" })) });
  const rejectionsMax = Buffer.from([4 * 8, 100]); // the field of that name
  // Acks that list 100 rejections fill the window.
  for (let n = 1; n <= 40; n++) stalled.send(Buffer.concat([encodeRequest(many), rejectionsMax]));
  const { batchesMax } = streamLimits;
  await waitFor("all it may have", async () => (await server.metric("fleetlog_batches_total")) >= batchesMax);
  process.kill(server.pid, "SIGTERM");
  assert.equal(await server.exited, 0);
  assert(server.log.some(({ step, msg }) => step === "drain" && msg === "failed to stop"));
});

test("an idle server with open connections stops", async (t) => {
  const { server } = await startServerAndRedis(t);
  const stream = openStream(connectGrpc(t, server.grpc));
  await new Promise((resolve) => stream.call.once("metadata", resolve));
  await (await fetch(`http://${server.http}/`)).text(); // a kept-alive connection
  process.kill(server.pid, "SIGTERM");
  assert.equal((await stream.ended).code, status.UNAVAILABLE);
  assert.equal(await server.exited, 0);
});
