import assert from "node:assert/strict";
import { test } from "node:test";
import { type ServiceError, status } from "@grpc/grpc-js";
import { encodeOtlp } from "#otlp/testing/otlp.ts";
import { exportGrpc, exportHttp } from "#test/support/otlp-sender.ts";
import { waitFor } from "#test/support/wait-for.ts";
import { encodeRequest, makeBatch } from "../testing/batches.ts";
import { connectGrpc, openStream, readDetails } from "../testing/grpc-device.ts";
import { startServerAndRedis } from "../testing/server-program.ts";

const one = { resourceLogs: [{ scopeLogs: [{ logRecords: [{ body: { stringValue: "x" } }] }] }] };
const content = encodeOtlp(one);

test("an overloaded server answers RESOURCE_EXHAUSTED with RetryInfo, and 429 with Retry-After", async (t) => {
  const { server } = await startServerAndRedis(t, { BACKLOG_ENTRIES_MAX: "100" });
  const client = connectGrpc(t, server.grpc);
  const stream = openStream(client);
  for (let n = 1; n <= 101; n++) stream.send(encodeRequest(makeBatch(n)));
  const refusal = await waitFor("a refusal", async () => {
    const error = await exportGrpc(client, content).catch((error: ServiceError) => error);
    return error instanceof Error && error;
  });
  assert.equal(refusal.code, status.RESOURCE_EXHAUSTED);
  assert.ok((readDetails(refusal.metadata).retryDelayMs ?? 0) >= 1_000);
  for (const body of [content, JSON.stringify(one)]) {
    const {
      status: httpStatus,
      retryAfter,
      error,
      contentType,
    } = await exportHttp(`http://${server.http}`, body);
    assert.deepEqual([httpStatus, error.code], [429, status.RESOURCE_EXHAUSTED]);
    assert.match(retryAfter ?? "", /^[1-3]$/);
    assert.equal(contentType, body === content ? "application/x-protobuf" : "application/json");
  }
});

test("a server whose Redis is gone answers UNAVAILABLE, and 503 with Retry-After", async (t) => {
  const { redis, server } = await startServerAndRedis(t);
  const client = connectGrpc(t, server.grpc);
  process.kill(redis.pid, "SIGKILL");
  await assert.rejects(exportGrpc(client, content), { code: status.UNAVAILABLE });
  const { status: httpStatus, retryAfter, error } = await exportHttp(`http://${server.http}`, content);
  assert.deepEqual([httpStatus, error.code], [503, status.UNAVAILABLE]);
  assert.match(retryAfter ?? "", /^[1-3]$/);
});

test("with OTLP_RETRIES=store a request that arrives again is another one", async (t) => {
  const { server, entries } = await startServerAndRedis(t, {
    OTLP_RETRIES: "store",
    OTLP_DEVICE_ATTRIBUTES: "rack,host.name",
  });
  const resource = { attributes: [{ key: "rack", value: { stringValue: "r-7" } }] };
  const timed = { resourceLogs: [{ resource, scopeLogs: [{ logRecords: [{ timeUnixNano: "5" }] }] }] };
  for (let time = 0; time < 2; time++) await exportHttp(`http://${server.http}`, JSON.stringify(timed));
  assert.deepEqual(await entries("~otlp"), []);
  assert.equal(await server.metric('fleetlog_batches_total{outcome="accepted"'), 2);
});
