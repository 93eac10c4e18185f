import assert from "node:assert/strict";
import { test } from "node:test";
import { create, toBinary } from "@bufbuild/protobuf";
import { type ServiceError, status } from "@grpc/grpc-js";
import { BatchErrorCode, GetSessionRequestSchema } from "#proto/gen/fleetlog/v1/ingest_pb.ts";
import type { ProgressRequest } from "#stream/session-progress.ts";
import { connectGrpc, pushGrpc, readDetails } from "../testing/grpc-device.ts";
import { startServerAndRedis } from "../testing/server-program.ts";
import { SessionLookups } from "./lookups.ts";

function startLookups() {
  const asked: ProgressRequest[] = [];
  return { asked, lookups: new SessionLookups({ request: (question) => asked.push(question) }) };
}

const ranges = { committed: 1n, droppedCount: 0n, received: [["1", "1"]], dropped: [] } as const;

test("calls for the same session share one request, and progress without ranges does not answer it", async () => {
  const { asked, lookups } = startLookups();
  const name = { deviceId: "d", sessionId: "s" };
  const [first, second] = [lookups.lookUp(name), lookups.lookUp(name)];
  assert.deepEqual(asked, [{ ...name, withRanges: true }]);
  lookups.onProgress({ ...name, committed: 1n, droppedCount: 0n });
  lookups.onProgress({ deviceId: "d", sessionId: "other", ...ranges });
  assert.equal(lookups.size, 1);
  lookups.onProgress({ ...name, ...ranges });
  assert.deepEqual(await Promise.all([first, second]), [
    { ...name, ...ranges },
    { ...name, ...ranges },
  ]);
  assert.equal(lookups.size, 0);
});

test("beyond 1,000 sessions at a time a call is refused, to retry later", async () => {
  const { asked, lookups } = startLookups();
  const names = Array.from({ length: 1_000 }, (_, n) => ({ deviceId: `d${n}`, sessionId: "s" }));
  const answers = names.map((name) => lookups.lookUp(name));
  const refused = await lookups.lookUp({ deviceId: "one more", sessionId: "s" });
  assert("code" in refused && refused.code === BatchErrorCode.UNAVAILABLE && refused.retryDelayMs > 0);
  assert.equal(asked.length, 1_000);
  for (const name of names) lookups.onProgress({ ...name, ...ranges });
  await Promise.all(answers);
});

test("an answered request is not repeated; an unanswered one is sent three times", async (t) => {
  t.mock.timers.enable({ apis: ["setInterval"] });
  const { asked, lookups } = startLookups();
  const name = { deviceId: "d", sessionId: "s" };
  const answered = lookups.lookUp(name);
  lookups.onProgress({ ...name, ...ranges });
  await answered;
  t.mock.timers.tick(10_000);
  assert.equal(asked.length, 1);
  const unanswered = lookups.lookUp(name);
  t.mock.timers.tick(10_000);
  assert("code" in (await unanswered));
  assert.equal(asked.length, 4);
});

test("while no consumer answers a call ends with UNAVAILABLE and a delay, on both transports", async (t) => {
  const { server } = await startServerAndRedis(t);
  const request = create(GetSessionRequestSchema, { deviceId: "d", sessionId: "s" });
  const connect = fetch(`http://${server.http}/fleetlog.v1.IngestService/GetSession`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: '{"deviceId":"d","sessionId":"s"}',
  });
  const error = await pushGrpc(
    connectGrpc(t, server.grpc),
    toBinary(GetSessionRequestSchema, request),
    "GetSession",
  ).catch((error: ServiceError) => error);
  assert(error instanceof Error && error.code === status.UNAVAILABLE);
  assert.match(error.details, /no consumer/);
  assert((readDetails(error.metadata).retryDelayMs ?? 0) >= 1_000);
  assert.equal((await connect).status, 503);
});
