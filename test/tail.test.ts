import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { createClient } from "@connectrpc/connect";
import { createConnectTransport, createGrpcWebTransport } from "@connectrpc/connect-node";
import { Pool } from "pg";
import { type LogEntry, QueryService } from "#proto/gen/fleetlog/v1/query_pb.ts";
import { startSystem, type TestSystem } from "./support/system.ts";
import { waitFor } from "./support/wait-for.ts";

let system: TestSystem;
before(async () => {
  system = await startSystem();
});
after(() => system[Symbol.asyncDispose]());

const devices = Array.from({ length: 10 }, (_, i) => `device-${i}`);
const batchesPerDevice = 20;
const recordsPerBatch = 4;
const total = devices.length * batchesPerDevice * recordsPerBatch;

test("tails that start and resume at any time deliver every record of the table once, whichever processes stop meanwhile", async () => {
  const done = new AbortController();
  let pushed = 0;
  const afterBatches = (count: number) => waitFor(`${count} batches`, () => pushed >= count, 60_000);
  const fleet = devices.map(async (device) => {
    for (let sequence = 1; sequence <= batchesPerDevice; sequence += 1) {
      await push(device, sequence);
      // Some devices did not see the ack.
      if (sequence % 5 === 0) await push(device, sequence);
      pushed += 1;
    }
  });
  const tails = Array.from({ length: 12 }, async (_, i) => {
    await afterBatches(i * 15);
    return followThrough(i, done.signal);
  });
  const operator = async () => {
    await afterBatches(30);
    await system.consumer.stop(); // from now on records wait
    await afterBatches(90);
    await system.consumer.start();
    await afterBatches(110);
    await system.gateway.stop();
    await system.gateway.start();
  };
  await Promise.all([...fleet, operator()]);
  const followers = await Promise.all(tails);
  const pool = new Pool({ connectionString: system.databaseUrl });
  try {
    const stored = await waitFor("all records in the table", async () => {
      const { rows } = await pool.query<{ message: string }>("select message from logs order by message");
      return rows.length >= total && rows.map(({ message }) => message);
    });
    assert.equal(stored.length, total);
    for (const [i, follower] of followers.entries()) {
      await waitFor(`all records in tail ${i}`, () => follower.logs.length >= total).catch(() => {});
      assert.deepEqual(follower.logs.map(({ message }) => message).sort(), stored, `tail ${i}`);
      assert.deepEqual(follower.exceptions, []);
      assert.deepEqual(outOfOrder(follower), [], `tail ${i}`);
    }
    assert.ok(followers.reduce((calls, follower) => calls + follower.calls, 0) > followers.length + 5);
  } finally {
    done.abort();
    await pool.end();
  }
});

interface FollowerState {
  readonly logs: LogEntry[];
  /** Gaps, and records skipped: there is no reason for any. */
  readonly exceptions: string[];
  /** How many records came before the tail followed. */
  calls: number;
  before: number;
}

/** Follows through every end of a call; two of three tails also cut the call themselves now and then. */
function followThrough(i: number, signal: AbortSignal): FollowerState {
  const options = { baseUrl: system.httpUrl, httpVersion: "1.1" } as const;
  const transport = i % 2 === 0 ? createConnectTransport(options) : createGrpcWebTransport(options);
  const client = createClient(QueryService, transport);
  const state: FollowerState = { logs: [], exceptions: [], calls: 0, before: 0 };
  const run = async () => {
    let resumeToken = "";
    while (!signal.aborted) {
      state.calls += 1;
      let messages = 0;
      try {
        for await (const { event, resumeToken: token } of client.tailLogs(
          { last: 1000, resumeToken },
          { signal },
        )) {
          resumeToken = token;
          if (event.case === "logs") state.logs.push(...event.value.logs);
          else if (event.case === "gap" || event.case === "skipped") state.exceptions.push(event.case);
          if (state.calls === 1 && event.case === "state") state.before = state.logs.length;
          messages += 1;
          if (i % 3 > 0 && messages === 2 + i) break;
        }
      } catch {
        // The gateway stops, or is not back yet: tried again with the token.
        await sleep(20);
      }
    }
  };
  void run();
  return state;
}

/** Live records of a device whose batch or index is not behind the one before. */
function outOfOrder({ logs, before }: FollowerState): string[] {
  const last = new Map<string, number>();
  return logs.slice(before).flatMap(({ deviceId, sequence, index, message }) => {
    const place = Number(sequence) * recordsPerBatch + index;
    const isBehind = place > (last.get(deviceId) ?? -1);
    last.set(deviceId, place);
    return isBehind ? [] : [message];
  });
}

async function push(deviceId: string, sequence: number): Promise<void> {
  const records = Array.from({ length: recordsPerBatch }, (_, n) => ({
    message: `${deviceId} ${sequence} ${n}`,
  }));
  const response = await fetch(`${system.httpUrl}/fleetlog.v1.IngestService/PushLogs`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ batch: { deviceId, sessionId: "boot-1", sequence, records } }),
  });
  assert.equal(response.status, 200);
}
