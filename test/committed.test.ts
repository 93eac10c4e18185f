import assert from "node:assert/strict";
import { after, test } from "node:test";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport } from "@connectrpc/connect-node";
import { createFixture } from "#consumer/testing/fixture.ts";
import { startProgram } from "#consumer/testing/program.ts";
import { IngestService } from "#proto/gen/fleetlog/v1/ingest_pb.ts";
import { encodeRequest, encodeSubscription, makeBatch } from "#server/testing/batches.ts";
import { openConnectStream } from "#server/testing/connect-device.ts";
import { connectGrpc, openStream } from "#server/testing/grpc-device.ts";
import { startServer } from "#server/testing/server-program.ts";
import { waitFor } from "./support/wait-for.ts";

// The server and the consumer as programs, with a Redis and a database of their own.
const fixture = await createFixture();
after(() => fixture[Symbol.asyncDispose]());
const server = await startServer({ after }, fixture.redisUrl);
await waitFor("the server", async () => (await server.readyz()).status === 200);
const consumer = await startProgram(fixture);
await consumer.logged("ready");

const http = `http://${server.http}`;
const clients = Object.entries({
  gRPC: createGrpcTransport({ baseUrl: `http://${server.grpc}` }),
  "Connect in JSON": createConnectTransport({ baseUrl: http, httpVersion: "1.1", useBinaryFormat: false }),
  "Connect in binary by GET": createConnectTransport({ baseUrl: http, httpVersion: "1.1", useHttpGet: true }),
}).map(([name, transport]) => [name, createClient(IngestService, transport)] as const);

function send(stream: ReturnType<typeof openStream>, sessionId: string, sequences: readonly number[]): void {
  for (const sequence of sequences) stream.send(encodeRequest(makeBatch(sequence, { sessionId })));
}

const readCommitted = ({ progress }: Pick<ReturnType<typeof openStream>, "progress">) =>
  Number(progress.at(-1)?.committedThrough);

test("reports committed progress to a stream that subscribed, and to no other", async (t) => {
  const client = connectGrpc(t, server.grpc);
  const [stream, silent] = [openStream(client), openStream(client)];
  stream.send(encodeSubscription("reported"));
  send(stream, "reported", [1, 2, 3]);
  send(silent, "untold", [1, 2, 3]);
  await waitFor("all of it", () => readCommitted(stream) === 3);
  send(stream, "reported", [5, 6]);
  await waitFor("the acks", () => stream.acks.length === 5);
  send(stream, "reported", [4]);
  await waitFor("what the hole held back", () => readCommitted(stream) === 6);
  const reported = stream.progress.map(({ committedThrough }) => Number(committedThrough));
  assert.deepEqual(
    reported,
    [...new Set(reported)].sort((a, b) => a - b),
    "only rising, nothing twice",
  );
  assert.equal(reported[0], 0);
  assert.equal(new Set(stream.progress.map(({ epoch }) => epoch)).size, 1);
  await waitFor("the silent one's acks", () => silent.acks.length === 3);
  assert.deepEqual(silent.progress, []);
});

test("reports earlier commits too, also to a stream that sends nothing, on every transport", async (t) => {
  // One session per transport: in a shared one, a batch sent over the first may be committed before the second asks.
  const sessions = ["before-grpc", "before-binary", "before-json"] as const;
  const before = openStream(connectGrpc(t, server.grpc));
  for (const sessionId of sessions) send(before, sessionId, [1, 2]);
  for (const sessionId of sessions) {
    await waitFor(`two batches of ${sessionId}`, async () => (await stored(sessionId)) === 2);
  }
  const grpc = openStream(connectGrpc(t, server.grpc));
  grpc.send(encodeSubscription(sessions[0]));
  await waitFor("the progress over gRPC", () => readCommitted(grpc) === 2);
  for (const [sessionId, isBinary] of [
    [sessions[1], true],
    [sessions[2], false],
  ] as const) {
    const connect = openConnectStream(t, server.http, isBinary);
    const isReported = (committed: bigint) =>
      connect.responses.some(({ progress }) => progress?.committedThrough === committed);
    connect.send({ reportCommitted: { deviceId: "device-1", sessionId } });
    await waitFor(`the progress of ${sessionId}`, () => isReported(2n));
    connect.send({ batch: makeBatch(3, { sessionId }) });
    await waitFor(`the third batch of ${sessionId}`, () => isReported(3n));
  }
});

test("never reports a batch that PostgreSQL has not committed", async (t) => {
  const stream = openStream(connectGrpc(t, server.grpc));
  stream.send(encodeSubscription("held"));
  send(stream, "held", [1, 2]);
  await waitFor("the first two", () => readCommitted(stream) === 2);
  await fixture.holdFlushes();
  send(stream, "held", [3, 4]);
  await waitFor("the acks", () => stream.acks.length === 4);
  await fixture.heldFlush();
  // Asked while the flush is held, a consumer tells what is committed, and the stream would have heard it too.
  const [, client] = clients[0]!;
  const { committedThrough } = await client.getSession({ deviceId: "device-1", sessionId: "held" });
  assert.equal(committedThrough, 2n);
  assert.equal(readCommitted(stream), 2);
  await fixture.rows("commit");
  await waitFor("the rest", () => readCommitted(stream) === 4);
});

test("never reports too much while PostgreSQL drops the consumers' connections", async (t) => {
  const stream = openStream(connectGrpc(t, server.grpc));
  stream.send(encodeSubscription("rough"));
  let [sent, checked] = [0, 0];
  for (let round = 1; round <= 3; round += 1) {
    const until = sent + 200;
    while (sent < until) send(stream, "rough", [++sent]);
    await waitFor("some of it", () => readCommitted(stream) > sent - 200);
    await fixture.rows(
      `select pg_terminate_backend(pid) from pg_stat_activity
        where datname = current_database() and application_name = 'fleetlog-consumer'`,
    );
    for (; checked < stream.progress.length; checked += 1) {
      const committed = Number(stream.progress[checked]?.committedThrough);
      const [row] = await fixture.rows(
        `select count(distinct sequence)::int as n from batches
          where session_id = 'rough' and sequence <= ${committed}`,
      );
      assert.equal(row?.["n"], committed, "every reported batch is there");
    }
  }
  await waitFor("all of it", () => readCommitted(stream) === sent);
});

test("a lost message is made up for by a lookup", async (t) => {
  const stream = openStream(connectGrpc(t, server.grpc));
  stream.send(encodeSubscription("lost"));
  send(stream, "lost", [1]);
  await waitFor("the first", () => readCommitted(stream) === 1);
  await fixture.redis.acl("SETUSER", "default", "-spublish");
  send(stream, "lost", [2]);
  await waitFor("two batches", async () => (await stored("lost")) === 2);
  await fixture.redis.acl("SETUSER", "default", "+spublish");
  await waitFor("the second", () => readCommitted(stream) === 2);
});

test("a broken subscription is renewed, and missed progress is looked up", async (t) => {
  const stream = openStream(connectGrpc(t, server.grpc));
  stream.send(encodeSubscription("broken"));
  for (let sequence = 1; sequence <= 5; sequence += 1) {
    send(stream, "broken", [sequence]);
    await fixture.redis.call("CLIENT", "KILL", "TYPE", "pubsub");
    await waitFor(`batch ${sequence}`, () => readCommitted(stream) === sequence);
  }
});

for (const [name, client] of clients) {
  test(`a device that lost its memory learns which batches are stored: ${name}`, async (t) => {
    const sessionId = `lost-${name.replaceAll(/\W/g, "-")}`;
    const session = { deviceId: "device-1", sessionId };
    const stream = openStream(connectGrpc(t, server.grpc));
    send(stream, sessionId, [1, 2, 3, 7]);
    const dropped = makeBatch(4, { sessionId, records: [], dropped: { lastSequence: 5n, reason: "full" } });
    stream.send(encodeRequest(dropped));
    await waitFor("all of it", async () => (await client.getSession(session)).committedThrough === 5n);
    await waitFor("the batch after the hole", async () => {
      const { committedRanges, droppedRanges, committedThrough } = await client.getSession(session);
      return committedRanges.length === 2 && { committedRanges, droppedRanges, committedThrough };
    });
    const { committedRanges, droppedRanges: lost, committedThrough } = await client.getSession(session);
    assert.deepEqual(committedRanges.map(toPair), [
      [1n, 3n],
      [7n, 7n],
    ]);
    assert.deepEqual(lost.map(toPair), [[4n, 5n]]);
    assert.equal(committedThrough, 5n);
  });

  test(`an unknown session is empty, and one that cannot be is refused by name: ${name}`, async () => {
    const unknown = await client.getSession({ deviceId: "unknown", sessionId: "boot-1" });
    assert.deepEqual(
      [unknown.committedRanges, unknown.droppedRanges, unknown.committedThrough],
      [[], [], 0n],
    );
    for (const [session, problem] of [
      [{ deviceId: "", sessionId: "boot-1" }, /^device_id is missing/],
      [{ deviceId: "a b", sessionId: "boot-1" }, /^device_id is "a b"/],
      [{ deviceId: "device-1", sessionId: "" }, /^session_id is missing/],
      [{ deviceId: "device-1", sessionId: "~0123" }, /^session_id is "~0123"/],
    ] as const) {
      const error = ConnectError.from(await client.getSession(session).catch((error: unknown) => error));
      assert.equal(error.code, Code.InvalidArgument);
      assert.match(error.rawMessage, problem);
    }
  });
}

test("a session is read with curl", async () => {
  const path = "/fleetlog.v1.IngestService/GetSession";
  const message = encodeURIComponent('{"deviceId":"unknown","sessionId":"boot-1"}');
  const response = await fetch(`${http}${path}?connect=v1&encoding=json&message=${message}`);
  assert.deepEqual(await response.json(), { committedRanges: [], droppedRanges: [], committedThrough: "0" });
});

async function stored(sessionId: string): Promise<number> {
  return fixture.count(`batches where session_id = '${sessionId}'`);
}

function toPair({ first, last }: { readonly first: bigint; readonly last: bigint }) {
  return [first, last];
}
