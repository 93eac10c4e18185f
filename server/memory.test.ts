import assert from "node:assert/strict";
import { test } from "node:test";
import { gzipSync } from "node:zlib";
import { Http2Calls } from "#test/fuzz/http-calls.ts";
import { waitFor } from "#test/support/wait-for.ts";
import { batchOfSize, wrapBatch } from "./testing/batches.ts";
import { connectGrpc, openStream } from "./testing/grpc-device.ts";
import { enveloped } from "./testing/request-costs.ts";
import { type Scope, type ServerProgram, startServerAndRedis } from "./testing/server-program.ts";

const streamsCount = 8;
const batchesPerStream = 20;
const mebibyte = 1024 * 1024;
const request = wrapBatch(batchOfSize(mebibyte));

for (const [kind, send] of [
  ["large batches", sendBatches],
  ["large batches, compressed to a few KiB,", sendCompressed],
] as const) {
  test(`while Redis hangs, streams of ${kind} hold a bounded part of the server's memory`, async (t) => {
    // Streams slow down at half of it; with one more batch on each of them none is refused.
    const { redis, server } = await startServerAndRedis(t, { IN_FLIGHT_MEBIBYTES_MAX: "24" });
    const memory = () => server.metric("nodejs_external_memory_bytes");
    const before = await memory();
    process.kill(redis.pid, "SIGSTOP");
    let most = 0;
    try {
      for (let stream = 0; stream < streamsCount; stream += 1) send(t, server);
      await waitFor("Redis to be given up", async () => {
        const more = (await memory()) - before;
        const isGivenUp = (await server.metric('fleetlog_batches_total{outcome="unavailable"')) > 0;
        // After that batches flow again, and their garbage would count as memory.
        if (!isGivenUp) most = Math.max(most, more);
        return isGivenUp;
      });
    } finally {
      process.kill(redis.pid, "SIGCONT");
    }
    assert(most > streamsCount * mebibyte, "the batches did not arrive");
    t.diagnostic(`${Math.round(most / mebibyte)} MiB more than before`);
    // 12 MiB in flight, then one batch per stream, one read ahead and one being read: 35 MiB. About as much is garbage that
    // is not collected yet. Without a bound it is 160 MiB and more.
    assert(most < 14 * streamsCount * mebibyte, `${Math.round(most / mebibyte)} MiB more than before`);
  });
}

function sendBatches(scope: Scope, { grpc }: ServerProgram): void {
  const stream = openStream(connectGrpc(scope, grpc));
  for (let batch = 0; batch < batchesPerStream; batch += 1) stream.send(request);
}

/** All of them in one write, which no client library does. */
function sendCompressed(scope: Scope, { grpc }: ServerProgram): void {
  const packed = enveloped(gzipSync(request), true);
  const calls = new Http2Calls(grpc);
  scope.after(() => calls.close());
  void calls.send({
    path: "/fleetlog.v1.IngestService/StreamLogs",
    headers: { te: "trailers", "content-type": "application/grpc", "grpc-encoding": "gzip" },
    pieces: [Buffer.concat(Array.from({ length: batchesPerStream }, () => packed))],
    end: "end",
  });
}
