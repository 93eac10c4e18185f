import assert from "node:assert/strict";
import { once } from "node:events";
import { after, before, test } from "node:test";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { Pool } from "pg";
import { IngestService } from "#proto/gen/fleetlog/v1/ingest_pb.ts";
import { startSystem, type TestSystem } from "./support/system.ts";
import { waitFor } from "./support/wait-for.ts";

let system: TestSystem;
before(async () => {
  system = await startSystem();
});
after(() => system[Symbol.asyncDispose]());

test("ingest servers may stop and return while devices push: no record is lost or duplicated", async () => {
  const done = new AbortController();
  let sent = 0;
  const failures: string[] = [];
  const devices = [1, 2, 3, 4].map(async (device) => {
    for (let sequence = 1; !done.signal.aborted; sequence += 1) {
      const response = await push(system, `device-${device}`, sequence);
      const { code } = (await response.json()) as { code?: string };
      if (response.status === 200) sent += 1;
      else failures.push(`${response.status} ${code}`);
    }
  });
  const grow = (by: number) => {
    const target = sent + by;
    return waitFor(`${by} more batches`, () => sent + failures.length >= target);
  };
  await grow(50);
  for (const server of system.servers) {
    await server.stop();
    await grow(50);
    await server.start();
    await grow(50);
  }
  done.abort();
  await Promise.all(devices);
  assert.deepEqual(failures, []);

  const pool = new Pool({ connectionString: system.databaseUrl });
  try {
    const stored = await waitFor("all records in PostgreSQL", async () => {
      const { rows } = await pool.query(
        "SELECT count(*)::int AS records, count(DISTINCT message)::int AS messages FROM logs",
      );
      return rows[0].records >= sent && rows[0];
    });
    assert.deepEqual(stored, { records: sent, messages: sent });
  } finally {
    await pool.end();
  }
});

test("a stopping server asks a Connect stream through Nginx to reconnect, and other streams stay open", async () => {
  const transport = createConnectTransport({ baseUrl: `http://${system.grpcAddress}`, httpVersion: "2" });
  const client = createClient(IngestService, transport);
  const closing = new AbortController();
  const acks = [0, 0];
  const ends = acks.map(async (_, stream) => {
    async function* requests() {
      yield { batch: { deviceId: `stream-${stream}`, records: [{ message: "hello" }] } };
      await once(closing.signal, "abort");
    }
    for await (const { ack } of client.streamLogs(requests())) if (ack) acks[stream]! += 1;
    return stream;
  });
  const ended = ends.map((end) => end.catch((error: unknown) => ConnectError.from(error)));
  await waitFor("both streams, one at each server", () => acks.every((count) => count === 1));
  await system.servers[0]?.stop();
  const first = await Promise.race(ended);
  assert.ok(first instanceof ConnectError);
  assert.equal(first.code, Code.Unavailable, first.message);
  closing.abort(); // the other one ends as its device wants
  const outcomes = await Promise.all(ended);
  assert.equal(outcomes.filter((outcome) => outcome instanceof ConnectError).length, 1);
  await system.servers[0]?.start();
});

function push({ httpUrl }: TestSystem, deviceId: string, sequence: number): Promise<Response> {
  return fetch(`${httpUrl}/fleetlog.v1.IngestService/PushLogs`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({
      batch: { deviceId, sessionId: "boot-1", sequence, records: [{ message: `${deviceId} ${sequence}` }] },
    }),
  });
}
