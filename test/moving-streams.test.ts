import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { createClient } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport } from "@connectrpc/connect-node";
import { Pool } from "pg";
import { IngestService } from "#proto/gen/fleetlog/v1/ingest_pb.ts";
import { encodeRequest, encodeSubscription, makeBatch } from "#server/testing/batches.ts";
import { connectGrpc, openStream } from "#server/testing/grpc-device.ts";
import { startSystem, type TestSystem } from "./support/system.ts";
import { waitFor } from "./support/wait-for.ts";

let system: TestSystem;
before(async () => {
  system = await startSystem({ env: { server: { HEARTBEAT_SECONDS: "1", STREAM_AGE_SECONDS_MAX: "2" } } });
});
after(() => system[Symbol.asyncDispose]());

const session = { deviceId: "device-1", sessionId: "moving" };

function send(stream: ReturnType<typeof openStream>, sequence: number): void {
  stream.send(encodeRequest(makeBatch(sequence, session)));
}

test("a stream through Nginx moves between servers repeatedly, and nothing is lost or duplicated", async (t) => {
  const client = connectGrpc(t, system.grpcAddress);
  const epochs = new Set<bigint>();
  let [numbered, committed, moves] = [0, 0, 0];
  // A device that keeps each batch until it is committed, and sends all it has again on every new stream.
  while (moves < 3) {
    const stream = openStream(client);
    stream.send(encodeSubscription(session.sessionId));
    for (let kept = committed + 1; kept <= numbered; kept += 1) send(stream, kept);
    const sender = setInterval(() => {
      for (let n = 0; n < 5; n += 1) send(stream, ++numbered);
    }, 10);
    const { details } = await stream.ended;
    clearInterval(sender);
    assert.match(details, /the stream reached its maximum age: reconnect/);
    moves += 1;
    committed = Number(stream.progress.at(-1)?.committedThrough ?? committed);
    for (const { epoch } of stream.progress) epochs.add(epoch);
  }
  const last = openStream(client);
  last.send(encodeSubscription(session.sessionId));
  for (let kept = committed + 1; kept <= numbered; kept += 1) send(last, kept);
  await waitFor("all of it", () => Number(last.progress.at(-1)?.committedThrough) === numbered);
  assert.equal(epochs.size, 1, "one epoch, whatever server");

  const pool = new Pool({ connectionString: system.databaseUrl });
  t.after(() => pool.end());
  const { rows } = await pool.query(
    "select count(*)::int as records, count(distinct message)::int as messages from logs where session_id = 'moving'",
  );
  assert.deepEqual(rows, [{ records: numbered, messages: numbered }]);
  for (const transport of [
    createGrpcTransport({ baseUrl: `http://${system.grpcAddress}` }),
    createConnectTransport({ baseUrl: system.httpUrl, httpVersion: "1.1" }),
    createConnectTransport({ baseUrl: system.httpUrl, httpVersion: "1.1", useHttpGet: true }),
  ]) {
    const { committedThrough } = await createClient(IngestService, transport).getSession(session);
    assert.equal(Number(committedThrough), numbered);
  }
});

test("heartbeats pass through Nginx", async (t) => {
  const stream = openStream(connectGrpc(t, system.grpcAddress));
  await waitFor("one", () => stream.heartbeats > 0);
});
