import assert from "node:assert/strict";
import { test } from "node:test";
import { status } from "@grpc/grpc-js";
import { startRedis } from "#test/support/redis.ts";
import { shiftedClock } from "#test/support/shifted-clock.ts";
import { waitFor } from "#test/support/wait-for.ts";
import { encodeRequest, makeBatch } from "../testing/batches.ts";
import { connectGrpc, pushGrpc, readDetails } from "../testing/grpc-device.ts";
import { startServer } from "../testing/server-program.ts";

const yearSeconds = 365 * 86_400;

for (const [name, seconds, says] of [
  ["47 years behind", -47 * yearSeconds, / s behind that of Redis /],
  [
    "two minutes ahead",
    120,
    /clock is 1[12]\d s ahead of that of Redis .*the limit is 60 s \(CLOCK_SKEW_SECONDS_MAX\)/,
  ],
] as const) {
  test(`a server whose clock is ${name} is not ready, reports why, and refuses batches with UNAVAILABLE`, async (t) => {
    const redis = await startRedis();
    t.after(() => redis[Symbol.asyncDispose]());
    const server = await startServer(t, redis.url, shiftedClock(seconds));
    await waitFor("the reason", async () => says.test((await server.readyz()).text));
    assert.equal((await server.readyz()).status, 503);
    const client = connectGrpc(t, server.grpc);
    const error = await pushGrpc(client, encodeRequest(makeBatch(1))).catch((error: unknown) => error);
    assert.ok(error instanceof Error && "code" in error && "metadata" in error);
    assert.equal(error.code, status.UNAVAILABLE);
    assert.match(error.message, says);
    assert.ok((readDetails(error.metadata as Parameters<typeof readDetails>[0]).retryDelayMs ?? 0) >= 1_000);
  });
}

test("within CLOCK_SKEW_SECONDS_MAX a server accepts batches", async (t) => {
  const redis = await startRedis();
  t.after(() => redis[Symbol.asyncDispose]());
  const server = await startServer(t, redis.url, { ...shiftedClock(120), CLOCK_SKEW_SECONDS_MAX: "600" });
  await waitFor("ready", async () => (await server.readyz()).status === 200);
  assert.equal((await pushGrpc(connectGrpc(t, server.grpc), encodeRequest(makeBatch(1))))?.accepted, 1);
});
