import assert from "node:assert/strict";
import { test } from "node:test";
import { status } from "@grpc/grpc-js";
import { withDeadline } from "#lib/deadline.ts";
import { allShards, streamKey, toShard } from "#stream/keys.ts";
import { restartableRedis } from "#stream/testing/restartable-redis.ts";
import { countParts, readParts, toReports } from "#stream/unconfirmed.ts";
import { waitFor } from "#test/support/wait-for.ts";
import { encodeRequest, encodeSubscription, makeBatch } from "../testing/batches.ts";
import { connectGrpc, openStream, pushGrpc } from "../testing/grpc-device.ts";
import { startServer } from "../testing/server-program.ts";

// Redis comes back on an older copy of its data, with the same epoch.

const shard = toShard("device-1", 2);

test("streams report another epoch at once, and batches that may be missing are reported beside the stream", async (t) => {
  const redis = await restartableRedis(t);
  const server = await startServer(t, redis.url(), { HEARTBEAT_SECONDS: "3600" });
  await waitFor("the server to be ready", async () => (await server.readyz()).status === 200);
  const client = connectGrpc(t, server.grpc);
  const before = openStream(client);
  before.send(encodeSubscription("boot-1"));
  const { epoch } = await waitFor("a progress", () => before.progress[0]);
  await pushGrpc(client, encodeRequest(makeBatch(1)));
  await redis.copyData();
  // An id of the far future, as from a clock that was ahead.
  await redis.client().xadd(streamKey(shard), `${Date.now() + 3_600_000}-0`, "a", "b");
  await pushGrpc(client, encodeRequest(makeBatch(2)));
  await pushGrpc(client, encodeRequest(makeBatch(3)));
  const [newest] = await redis.client().xrevrange(streamKey(shard), "+", "-", "COUNT", 1);
  await redis.killAndRestart({ onCopy: true });

  const { code } = await withDeadline("the end of the stream", 30_000, before.ended);
  assert.equal(code, status.UNAVAILABLE);
  const after = openStream(client);
  after.send(encodeSubscription("boot-1"));
  assert.notEqual((await waitFor("a progress", () => after.progress[0])).epoch, epoch);

  await waitFor("a report", async () => (await countParts(redis.client(), shard)) > 0);
  const [report] = toReports(await readParts(redis.client(), shard, 1), assert.fail);
  assert.deepEqual(
    report?.batches.map(({ deviceId, sessionId, sequence }) => [deviceId, sessionId, sequence]),
    [1n, 2n, 3n].map((sequence) => ["device-1", "boot-1", sequence]),
  );
  assert.equal(report?.batches.at(-1)?.id, newest?.[0]);

  await pushGrpc(client, encodeRequest(makeBatch(4)));
  const [next] = await redis.client().xrevrange(streamKey(shard), "+", "-", "COUNT", 1);
  assert.equal(
    next?.[0].split("-")[0],
    newest?.[0].split("-")[0],
    "ids go on where they were, although the clock is behind",
  );
});

test("a report that a full Redis refuses is repeated once there is memory", async (t) => {
  const redis = await restartableRedis(t);
  const server = await startServer(t, redis.url());
  await waitFor("the server to be ready", async () => (await server.readyz()).status === 200);
  const client = connectGrpc(t, server.grpc);
  await pushGrpc(client, encodeRequest(makeBatch(1)));
  await redis.killAndRestart({ settings: { maxmemory: "1" } });
  await waitFor("the server to be ready", async () => (await server.readyz()).status === 200);
  assert.deepEqual(await Promise.all(allShards(2).map((one) => countParts(redis.client(), one))), [0, 0]);
  await redis.client().config("SET", "maxmemory", "0");
  await waitFor("a report", async () => (await countParts(redis.client(), shard)) > 0);
});
