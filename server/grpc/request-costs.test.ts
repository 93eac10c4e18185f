import assert from "node:assert/strict";
import { after, test } from "node:test";
import { gzipSync } from "node:zlib";
import { limits } from "#batch/limits.ts";
import { Http2Calls } from "#test/fuzz/http-calls.ts";
import { assertCosts, ratioMax, send } from "../testing/measure-costs.ts";
import { attacks } from "../testing/request-costs.ts";
import { startServerAndRedis } from "../testing/server-program.ts";

const { server } = await startServerAndRedis({ after });

test(`no request costs more than ${ratioMax} times the largest honest batch, on gRPC`, async (t) => {
  const connection = new Http2Calls(server.grpc);
  t.after(() => connection.close());
  await assertCosts(t, server, connection, "grpc");
});

test("hundreds of compressed calls on one connection are decompressed in turn", async (t) => {
  const connection = new Http2Calls(server.grpc);
  t.after(() => connection.close());
  const body = gzipSync(Buffer.alloc(limits.batchBytesMax, 0x38));
  const request = { ...attacks.find(({ name }) => name === "gRPC, gzip: a bomb")!, body };
  const before = await server.metric("process_resident_memory_bytes");
  let most = 0;
  for (let round = 0; round < 2; round++) {
    await Promise.all(Array.from({ length: 600 }, () => send(request, connection)));
    most = Math.max(most, (await server.metric("process_resident_memory_bytes")) - before);
  }
  t.diagnostic(`${most >> 20} MiB more than before`);
  // Side by side they take 1,280 MiB; in turn up to 400 MiB wait for the garbage collector.
  assert(most < 640 << 20, `${most >> 20} MiB more than before`);
});
