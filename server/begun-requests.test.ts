import assert from "node:assert/strict";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { type TestContext, test } from "node:test";
import { createRegistry } from "#lib/metrics.ts";
import { encodeOtlp } from "#otlp/testing/otlp.ts";
import { StreamAppender } from "#stream/append.ts";
import { streamKey } from "#stream/keys.ts";
import { startTestRedis } from "#stream/testing/redis-clients.ts";
import { RequestBudget } from "./connect/request-budget.ts";
import { Decompressor } from "./decompressor.ts";
import { createStructuredLogs } from "./http/structured-logs.ts";
import { Ingest } from "./ingest.ts";
import { createIngestMetrics } from "./ingest-metrics.ts";
import { OtlpIngest } from "./otlp/otlp-ingest.ts";

const budget = new RequestBudget(64 << 20, 60_000);

/** An Ingest that is held back as soon as the first batch is in Redis. */
async function startHeldIngest(t: TestContext) {
  const redis = await (await startTestRedis(t)).client();
  const options = { shards: 1, inFlightMax: 10_000, inFlightBytesMax: 64 << 20 };
  const onAppended = () => ingest.hold("Redis is nearly full");
  const appender = new StreamAppender(redis, { ...options, onAppended });
  const ingest = new Ingest(appender, createIngestMetrics(createRegistry("server")));
  ingest.open();
  return { ingest, stored: () => redis.xlen(streamKey(0)) };
}

test("an OTLP request that began before the server held back is stored whole, the next one not at all", async (t) => {
  const { ingest, stored } = await startHeldIngest(t);
  const otlp = new OtlpIngest(ingest, { deviceAttributes: ["host.name"], recogniseRetries: true });
  const devices = 600; // more than are appended at once
  const resourceLogs = Array.from({ length: devices }, (_, device) => ({
    resource: { attributes: [{ key: "host.name", value: { stringValue: `host-${device}` } }] },
    scopeLogs: [{ logRecords: [{ body: { stringValue: "no time" } }] }],
  }));
  const request = encodeOtlp({ resourceLogs });
  using share = budget.open();
  assert.deepEqual(await otlp.export(request, share), { rejected: 0, message: "" });
  assert.equal(await stored(), devices);
  const { refusal } = await otlp.export(request, share);
  assert.equal(refusal?.message, "Redis is nearly full");
  assert.equal(await stored(), devices);
});

test("so is a request of structured logs", async (t) => {
  const { ingest, stored } = await startHeldIngest(t);
  const { post } = createStructuredLogs({
    ingest,
    decompressor: new Decompressor(),
    requestBudget: budget,
    recogniseRetries: true,
  });
  const server = createServer((request, response) => {
    post(request).then(
      (body) => response.end(body),
      (error: Error) => response.writeHead(429).end(error.message),
    );
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.after(() => server.close());
  const { port } = server.address() as AddressInfo;
  const send = async () => {
    const response = await fetch(`http://127.0.0.1:${port}/v1/ingest/host-1`, {
      method: "POST",
      headers: { "content-type": "application/x-ndjson" },
      body: '{"msg":"no time"}\n'.repeat(25_000),
    });
    return { status: response.status, text: await response.text() };
  };
  assert.deepEqual(await send(), {
    status: 200,
    text: '{"accepted":25000,"rejected":0,"rejections":[]}',
  });
  const batches = await stored();
  assert.ok(batches > 1);
  assert.equal((await send()).status, 429);
  assert.equal(await stored(), batches);
});
