import assert from "node:assert/strict";
import { test } from "node:test";
import { waitFor } from "#test/support/wait-for.ts";
import { batchOfSize, wrapBatch } from "./testing/batches.ts";
import { connectGrpc, openStream } from "./testing/grpc-device.ts";
import { startServerAndRedis } from "./testing/server-program.ts";

const streamsCount = 8;
const mebibyte = 1024 * 1024;

test("while Redis hangs, streams of large batches hold a bounded part of the server's memory", async (t) => {
  const { redis, server } = await startServerAndRedis(t, { IN_FLIGHT_MEBIBYTES_MAX: "8" });
  const request = wrapBatch(batchOfSize(mebibyte));
  const memory = () => server.metric("nodejs_external_memory_bytes");
  const before = await memory();
  process.kill(redis.pid, "SIGSTOP");
  const streams = Array.from({ length: streamsCount }, () => openStream(connectGrpc(t, server.grpc)));
  for (const stream of streams) for (let batch = 0; batch < 12; batch += 1) stream.send(request);

  let most = 0;
  try {
    await waitFor("Redis to be given up", async () => {
      const more = (await memory()) - before;
      const isGivenUp = streams.some(({ acks }) => acks.length > 0);
      // From then on batches flow again, and what they leave to the garbage collector counts for it.
      if (!isGivenUp) most = Math.max(most, more);
      return isGivenUp;
    });
  } finally {
    process.kill(redis.pid, "SIGCONT");
  }
  // One batch a stream once 4 MiB are under way; one more has been read ahead and one is being read.
  assert(most < 6 * streamsCount * mebibyte, `${Math.round(most / mebibyte)} MiB more than before`);
});
