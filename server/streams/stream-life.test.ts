import assert from "node:assert/strict";
import { test } from "node:test";
import { Code, ConnectError } from "@connectrpc/connect";
import { status } from "@grpc/grpc-js";
import { waitFor } from "#test/support/wait-for.ts";
import { encodeRequest, makeBatch } from "../testing/batches.ts";
import { openConnectStream } from "../testing/connect-device.ts";
import { connectGrpc, openStream } from "../testing/grpc-device.ts";
import { startServerAndRedis } from "../testing/server-program.ts";

test("a quiet stream gets heartbeats on every transport, and stays open", async (t) => {
  const { server } = await startServerAndRedis(t, { HEARTBEAT_SECONDS: "1" });
  const grpc = openStream(connectGrpc(t, server.grpc));
  const connect = openConnectStream(t, server.http, true);
  const json = openConnectStream(t, server.http, false);
  const empty = ({ responses }: typeof json) => responses.filter(({ ack, progress }) => !ack && !progress);
  await waitFor("two of each", () =>
    [grpc.heartbeats, empty(connect).length, empty(json).length].every((n) => n >= 2),
  );
  grpc.send(encodeRequest(makeBatch(1)));
  connect.send({ batch: makeBatch(2) });
  json.send({ batch: makeBatch(3) });
  await waitFor("acks", () => grpc.acks.length === 1 && [connect, json].every(hasAck));
});

test("ends an old stream, and loses nothing: on gRPC", async (t) => {
  const { server, entries } = await startServerAndRedis(t, { STREAM_AGE_SECONDS_MAX: "1" });
  const client = connectGrpc(t, server.grpc);
  let sent = 0;
  let stream = openStream(client);
  const sender = setInterval(() => {
    for (let i = 0; i < 20; i++) stream.send(encodeRequest(makeBatch(++sent, { sessionId: "old" })));
  }, 1);
  t.after(() => clearInterval(sender));
  const { code, details } = await stream.ended;
  clearInterval(sender);
  assert.equal(code, status.UNAVAILABLE);
  assert.match(details, /the stream reached its maximum age: reconnect/);
  const acked = stream.acks.map(({ sequence }) => Number(sequence));
  assert.deepEqual(
    acked,
    acked.map((_, i) => i + 1),
    "acks in order, without a gap",
  );
  assert(acked.length > 0);
  const stored = (await entries("old")).map(({ sequence }) => Number(sequence));
  assert.deepEqual(stored, acked, "what is stored is what was acknowledged");

  stream = openStream(client);
  stream.send(encodeRequest(makeBatch(acked.length + 1, { sessionId: "old" })));
  await waitFor("an ack of the next stream", () => stream.acks.length === 1);
  assert.equal(await server.metric('fleetlog_streams_ended_total{reason="age"'), 1);
});

test("ends an old stream, and loses nothing: on Connect", async (t) => {
  const { server, entries } = await startServerAndRedis(t, { STREAM_AGE_SECONDS_MAX: "1" });
  const stream = openConnectStream(t, server.http, true);
  let sent = 0;
  const sender = setInterval(() => stream.send({ batch: makeBatch(++sent, { sessionId: "old" }) }), 1);
  t.after(() => clearInterval(sender));
  const error = ConnectError.from(await stream.ended);
  clearInterval(sender);
  assert.equal(error.code, Code.Unavailable);
  assert.match(error.message, /the stream reached its maximum age: reconnect/);
  const acked = stream.responses.map(({ ack }) => Number(ack?.sequence));
  assert.deepEqual(
    acked,
    acked.map((_, i) => i + 1),
  );
  const stored = (await entries("old")).map(({ sequence }) => Number(sequence));
  assert.deepEqual(stored, acked);
});

function hasAck({ responses }: ReturnType<typeof openConnectStream>): boolean {
  return responses.some(({ ack }) => ack?.accepted === 1);
}
