import assert from "node:assert/strict";
import { after, test } from "node:test";
import { limits } from "#batch/limits.ts";
import { Http1Calls, Http2Calls } from "#test/fuzz/http-calls.ts";
import { assertCosts, ratioMax, send } from "../testing/measure-costs.ts";
import { attacks } from "../testing/request-costs.ts";
import { startServerAndRedis } from "../testing/server-program.ts";

const { server } = await startServerAndRedis({ after });

test(`no request costs more than ${ratioMax} times the largest honest batch, on Connect`, async (t) => {
  const connection = new Http2Calls(server.http);
  t.after(() => connection.close());
  await assertCosts(t, server, connection, "connect");
});

test("eight of the largest requests at once need a bounded multiple of a batch in memory, however often", async (t) => {
  const memory = () => server.metric("process_resident_memory_bytes");
  const jsonAttacks = attacks.filter(({ contentType }) => contentType === "application/json");
  const connections = Array.from({ length: 8 }, () => new Http1Calls(server.http));
  after(() => {
    for (const connection of connections) connection.close();
  });
  const before = await memory();
  for (let round = 1; round <= 4; round += 1) {
    let most = 0;
    for (const request of jsonAttacks) {
      await Promise.all(connections.map((connection) => send(request, connection)));
      most = Math.max(most, (await memory()) - before);
    }
    t.diagnostic(`round ${round}: ${most >> 20} MiB more than before`);
    // Each holds 4 MiB packed and 4 MiB unpacked at most. The rest waits for the garbage collector, whose heap grows by what
    // it has met so far: measured up to 380 MiB, in the first round nearly all of it.
    assert(most < connections.length * 64 * limits.batchBytesMax, `${most >> 20} MiB more than before`);
  }
  assert.equal((await server.readyz()).status, 200);
});
