import assert from "node:assert/strict";
import { test } from "node:test";
import { Http2Calls } from "#test/fuzz/http-calls.ts";
import { encodeRequest, makeBatch } from "../testing/batches.ts";
import { enveloped } from "../testing/request-costs.ts";
import { startServerAndRedis } from "../testing/server-program.ts";

// All that is promised of gRPC, with GRPC_FAST_PATH=off: the test files beside this one again, on servers without the
// fast path.

const files = [
  "../bad-input.test.ts",
  "../connect/broken-envelopes.test.ts",
  "../connect/connect-clients.test.ts",
  "../drain.test.ts",
  "./grpc-calls.test.ts",
  "./grpc-stream.test.ts",
  "./health-and-reflection.test.ts",
  "../health/redis-away.test.ts",
  "../hosts.test.ts",
  "../memory.test.ts",
  "../small-responses.test.ts",
  "../progress/report-committed.test.ts",
  "./request-costs.test.ts",
  "./reset-calls.test.ts",
  "../streams/stream-life.test.ts",
];

test("GRPC_FAST_PATH says who serves PushLogs and StreamLogs", async (t) => {
  // Which encodings it reads only grpc-js says in every answer.
  for (const [fastPath, announced] of [
    ["on", undefined],
    ["off", "identity,gzip"],
  ] as const) {
    const { server } = await startServerAndRedis(t, { GRPC_FAST_PATH: fastPath });
    const calls = new Http2Calls(server.grpc);
    t.after(() => calls.close());
    for (const method of ["PushLogs", "StreamLogs"]) {
      const { headers } = await calls.send({
        path: `/fleetlog.v1.IngestService/${method}`,
        headers: { te: "trailers", "content-type": "application/grpc" },
        pieces: [enveloped(Buffer.from(encodeRequest(makeBatch(1))))],
        end: "end",
      });
      assert.equal(headers["grpc-status"], "0");
      assert.equal(headers["grpc-accept-encoding"], announced, `${method} with ${fastPath}`);
    }
  }
});

for (const file of files) {
  // A test and not a suite, whose files would all start their servers before the first test of any.
  test(`with GRPC_FAST_PATH=off, ${file}`, () => {
    process.env["GRPC_FAST_PATH"] = "off"; // read by startServer
    return import(file);
  });
}
