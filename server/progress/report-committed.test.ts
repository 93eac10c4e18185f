import assert from "node:assert/strict";
import { after, test } from "node:test";
import { Code, ConnectError } from "@connectrpc/connect";
import { status } from "@grpc/grpc-js";
import { Redis } from "ioredis";
import { startRedis } from "#test/support/redis.ts";
import { waitFor } from "#test/support/wait-for.ts";
import { encodeRequest, encodeSubscription, makeBatch } from "../testing/batches.ts";
import { openConnectStream } from "../testing/connect-device.ts";
import { connectGrpc, openStream, readDetails } from "../testing/grpc-device.ts";
import { startServer, startServerAndRedis } from "../testing/server-program.ts";

const { server } = await startServerAndRedis({ after });

/** The first progress on a new stream. */
async function firstProgress(client: ReturnType<typeof connectGrpc>) {
  const stream = openStream(client);
  stream.send(encodeSubscription("boot-1"));
  const { committedThrough, epoch } = await waitFor("a progress", () => stream.progress[0]);
  return { committedThrough, epoch, stream };
}

test("a stream reports progress at once, 0 until a consumer answers, and the same epoch as the next stream", async (t) => {
  const client = connectGrpc(t, server.grpc);
  const first = await firstProgress(client);
  const second = await firstProgress(client);
  assert.equal(first.committedThrough, 0n);
  assert.equal(second.epoch, first.epoch);
  assert.notEqual(first.epoch, 0n);
  for (const binary of [true, false]) {
    const connect = openConnectStream(t, server.http, binary);
    connect.send({ reportCommitted: { deviceId: "device-1", sessionId: "boot-1" } });
    const { progress } = await waitFor("a progress", () => connect.responses[0]);
    assert.equal(progress?.committedThrough, 0n);
    assert.equal(progress.epoch, first.epoch);
  }
});

test("a subscription may come alone, with a batch, mid-stream, and twice: it changes no acks", async (t) => {
  const stream = openStream(connectGrpc(t, server.grpc));
  stream.send(encodeRequest(makeBatch(1)));
  stream.send(encodeSubscription("boot-1", "device-1", makeBatch(2)));
  stream.send(encodeSubscription("boot-1"));
  stream.send(encodeRequest(makeBatch(3)));
  stream.call.end();
  assert.equal((await stream.ended).code, status.OK);
  assert.deepEqual(
    stream.acks.map(({ sequence, error }) => [sequence, error]),
    [1n, 2n, 3n].map((sequence) => [sequence, undefined]),
  );
  assert.equal(stream.progress.length, 1);

  for (const binary of [true, false]) {
    const connect = openConnectStream(t, server.http, binary);
    const reportCommitted = { deviceId: "device-1", sessionId: "boot-1" };
    connect.send({ batch: makeBatch(1) });
    connect.send({ batch: makeBatch(2), reportCommitted });
    connect.send({ reportCommitted });
    connect.send({ batch: makeBatch(3) });
    connect.close();
    assert.equal(await connect.ended, undefined);
    const acks = connect.responses.filter(({ ack }) => ack).map(({ ack }) => ack?.sequence);
    assert.deepEqual(acks, [1n, 2n, 3n]);
    assert.equal(connect.responses.filter(({ progress }) => progress).length, 1);
  }
});

test("an empty batch with a subscription is a batch, and refused, on every transport", async (t) => {
  const request = Buffer.concat([encodeSubscription("boot-1"), Buffer.from([0x0a, 0])]);
  const stream = openStream(connectGrpc(t, server.grpc));
  stream.send(request);
  assert.equal((await waitFor("an ack", () => stream.acks[0])).error?.field, "batch");
  for (const binary of [true, false]) {
    const connect = openConnectStream(t, server.http, binary);
    connect.send({ reportCommitted: { deviceId: "device-1", sessionId: "boot-1" }, batch: {} });
    const { ack } = await waitFor("an ack", () => connect.responses.find(({ ack }) => ack));
    assert.equal(ack?.error?.field, "batch");
  }
});

/** Invalid subscriptions: the invalid field, and words of the problem. */
const refused = [
  ["no device id", { deviceId: "", sessionId: "boot-1" }, "report_committed.device_id", /missing/],
  ["a bad device id", { deviceId: "a b", sessionId: "boot-1" }, "report_committed.device_id", /"a b"/],
  ["no session id", { deviceId: "d", sessionId: "" }, "report_committed.session_id", /missing/],
  ["a long session id", { deviceId: "d", sessionId: "x".repeat(65) }, "report_committed.session_id", /64/],
  [
    "a second session",
    { deviceId: "device-1", sessionId: "boot-2" },
    "report_committed",
    /"boot-2".*"boot-1"/,
  ],
] as const;

for (const [what, session, field, problem] of refused) {
  test(`${what} ends the stream with the name of the field, after earlier batches are acknowledged`, async (t) => {
    const stream = openStream(connectGrpc(t, server.grpc));
    stream.send(encodeRequest(makeBatch(1)));
    if (what === "a second session") stream.send(encodeSubscription("boot-1"));
    stream.send(encodeSubscription(session.sessionId, session.deviceId, makeBatch(2)));
    stream.send(encodeRequest(makeBatch(3)));
    const { code, details, metadata } = await stream.ended;
    assert.equal(code, status.INVALID_ARGUMENT);
    assert.match(details, problem);
    assert.deepEqual(readDetails(metadata).fields, [field]);
    assert.deepEqual(
      stream.acks.map(({ sequence }) => sequence),
      [1n, 2n],
    );

    for (const binary of [true, false]) {
      const connect = openConnectStream(t, server.http, binary);
      connect.send({ batch: makeBatch(1) });
      if (what === "a second session")
        connect.send({ reportCommitted: { deviceId: "device-1", sessionId: "boot-1" } });
      connect.send({ reportCommitted: session, batch: makeBatch(2) });
      const error = ConnectError.from(await connect.ended);
      assert.equal(error.code, Code.InvalidArgument);
      assert.match(error.message, problem);
      assert.equal(connect.responses.filter(({ ack }) => ack).length, 2);
    }
  });
}

test("a malformed subscription ends the stream with the name of the field", async (t) => {
  const stream = openStream(connectGrpc(t, server.grpc));
  stream.send(Buffer.from([0x12, 2, 0x0a, 9]));
  const { code, metadata } = await stream.ended;
  assert.equal(code, status.INVALID_ARGUMENT);
  assert.deepEqual(readDetails(metadata).fields, ["report_committed"]);
});

test("after Redis lost its data streams end, and the next ones report another epoch", async (t) => {
  const { redis, server } = await startServerAndRedis(t, { HEARTBEAT_SECONDS: "1" });
  const client = connectGrpc(t, server.grpc);
  const before = await firstProgress(client);
  const admin = new Redis(redis.url);
  t.after(() => admin.disconnect());
  await admin.flushall();
  const { code, details } = await before.stream.ended;
  assert.equal(code, status.UNAVAILABLE);
  assert.match(details, /may have been lost.*reconnect/);
  const next = await firstProgress(client);
  assert.notEqual(next.epoch, before.epoch);
  assert(before.stream.progress.every(({ epoch }) => epoch === before.epoch));
});

test("a stream that subscribes while Redis is unreachable gets its progress once Redis is back, with another epoch", async (t) => {
  const first = await startRedis();
  const server = await startServer(t, first.url, { HEARTBEAT_SECONDS: "1" });
  await waitFor("the server to be ready", async () => (await server.readyz()).status === 200);
  const client = connectGrpc(t, server.grpc);
  const before = await firstProgress(client);
  await first[Symbol.asyncDispose]();
  await waitFor("not ready", async () => (await server.readyz()).status === 503);
  const stream = openStream(client);
  stream.send(encodeSubscription("boot-1"));
  stream.send(encodeRequest(makeBatch(1)));
  assert.equal((await waitFor("a refusal", () => stream.acks[0])).error?.code, status.UNAVAILABLE);
  assert.deepEqual(stream.progress, []);
  const redis = await startRedis({ port: String(first.port) });
  t.after(() => redis[Symbol.asyncDispose]());
  const { epoch } = await waitFor("a progress", () => stream.progress[0]);
  assert.notEqual(epoch, before.epoch);
  assert.equal((await before.stream.ended).code, status.UNAVAILABLE);
  stream.send(encodeRequest(makeBatch(1)));
  assert.equal((await waitFor("an ack", () => stream.acks[1])).error, undefined);
});

test("a session stays subscribed as long as a stream reports it, however that stream ends", async (t) => {
  const { server } = await startServerAndRedis(t);
  const client = connectGrpc(t, server.grpc);
  const watched = () => server.metric("fleetlog_progress_subscriptions");
  const [complete, cancelled] = [openStream(client), openStream(client)];
  complete.send(encodeSubscription("complete"));
  cancelled.send(encodeSubscription("cancelled"));
  await waitFor("both sessions", async () => (await watched()) === 2);
  complete.call.end();
  await waitFor("the one that is complete to go", async () => (await watched()) === 1);
  cancelled.call.cancel();
  await waitFor("the one that was cancelled to go", async () => (await watched()) === 0);
});
