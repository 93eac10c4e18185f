import assert from "node:assert/strict";
import { after, test } from "node:test";
import { gzipSync } from "node:zlib";
import { fromBinary } from "@bufbuild/protobuf";
import { encodeEnvelope } from "@connectrpc/connect/protocol";
import { status } from "@grpc/grpc-js";
import { PushLogsResponseSchema } from "#proto/gen/fleetlog/v1/ingest_pb.ts";
import { Http2Calls } from "#test/fuzz/http-calls.ts";
import { waitFor } from "#test/support/wait-for.ts";
import { streamLimits } from "../streams/batch-pipeline.ts";
import { encodeRequest, makeBatch } from "../testing/batches.ts";
import { connectGrpc, openStream } from "../testing/grpc-device.ts";
import { startServerAndRedis } from "../testing/server-program.ts";

// The wire itself, below what a client library sends. on-grpc-js.test.ts runs this file without the fast path: a client
// must not see which of the two serves it.

const { redis, server } = await startServerAndRedis({ after });
const service = "/fleetlog.v1.IngestService";
const request = Buffer.from(encodeRequest(makeBatch(1)));

/** A message with its prefix, or a part of both. */
function envelope(message: Buffer, flags = 0): Buffer {
  return Buffer.from(encodeEnvelope(flags, message));
}

function calls(t: { after(cleanUp: () => void): void }) {
  const http2 = new Http2Calls(server.grpc);
  t.after(() => http2.close());
  return async (method: string, body: Buffer, headers: Record<string, string> = {}) => {
    const answer = await http2.send({
      path: `${service}/${method}`,
      headers: { te: "trailers", "content-type": "application/grpc", ...headers },
      pieces: [body],
      end: "end",
    });
    return { ...answer, code: Number(answer.headers["grpc-status"]) };
  };
}

/** Every kind of call that is one batch of one record. */
const ordinary: [string, Record<string, string>, Buffer][] = [
  ["as nearly everybody sends it", {}, envelope(request)],
  ["with the full content type", { "content-type": "application/grpc+proto" }, envelope(request)],
  ["with a timeout", { "grpc-timeout": "10S", "grpc-encoding": "identity" }, envelope(request)],
  ["with a timeout that no timer can hold", { "grpc-timeout": "99999999H" }, envelope(request)],
  ["compressed", { "grpc-encoding": "gzip" }, envelope(gzipSync(request), 1)],
  ["not compressed, though it could be", { "grpc-encoding": "gzip" }, envelope(request)],
];

for (const method of ["PushLogs", "StreamLogs"]) {
  test(`${method} is answered alike however it is sent`, async (t) => {
    const call = calls(t);
    for (const [what, headers, body] of ordinary) {
      const answer = await call(method, body, headers);
      assert.equal(answer.code, status.OK, what);
      assert.equal(answer.headers["content-type"], "application/grpc+proto", what);
      assert.equal(fromBinary(PushLogsResponseSchema, answer.body.subarray(5)).ack?.accepted, 1, what);
    }
  });

  test(`${method} refuses what ends within a message, by name`, async (t) => {
    const call = calls(t);
    for (const length of [1, 5, 20]) {
      const answer = await call(method, envelope(request).subarray(0, length));
      assert.equal(answer.code, status.INVALID_ARGUMENT, `${length} bytes`);
      assert.match(String(answer.headers["grpc-message"]), /request%20ends%20within%20a%20message/);
    }
  });
}

test("a unary call of no message, or of two, is none that there is", async (t) => {
  const call = calls(t);
  const two = Buffer.concat([envelope(request), envelope(request)]);
  for (const body of [Buffer.alloc(0), two]) {
    assert.equal((await call("PushLogs", body)).code, status.UNIMPLEMENTED);
  }
});

test("what came before a malformed message is answered", async (t) => {
  const call = calls(t);
  const gzip = { "grpc-encoding": "gzip" };
  for (const [what, headers, bad, says] of [
    ["packed, without an encoding", {}, envelope(request, 1), /compressed%20without%20grpc-encoding/],
    ["of an unknown flag", gzip, envelope(request, 2), /compressed/],
    ["no gzip", gzip, envelope(request, 1), /not%20valid%20gzip/],
    ["a bomb", gzip, envelope(gzipSync(Buffer.alloc(64 << 20)), 1), /decompresses%20to%20more%20than/],
    ["cut off", {}, envelope(request).subarray(0, -1), /ends%20within%20a%20message/],
  ] as const) {
    const answer = await call("StreamLogs", Buffer.concat([envelope(request), bad]), headers);
    assert.equal(answer.code, status.INVALID_ARGUMENT, what);
    assert.match(String(answer.headers["grpc-message"]), says, what);
    assert.equal(fromBinary(PushLogsResponseSchema, answer.body.subarray(5)).ack?.accepted, 1, what);
  }
});

test("a malformed call is rejected with its problem, whatever its method", async (t) => {
  const call = calls(t);
  for (const method of ["PushLogs", "StreamLogs", "GetSession"]) {
    for (const [headers, code, says] of [
      [{ "grpc-encoding": "deflate" }, status.UNIMPLEMENTED, /grpc-encoding%20%22deflate%22/],
      [{ "grpc-timeout": "1" }, status.INVALID_ARGUMENT, /grpc-timeout%20%221%22/],
      [{ "grpc-timeout": "1 S" }, status.INVALID_ARGUMENT, /grpc-timeout/],
      [{ "grpc-timeout": "123456789S" }, status.INVALID_ARGUMENT, /grpc-timeout/],
      [{ ":method": "PUT" }, status.UNIMPLEMENTED, /PUT/],
      [{ "content-type": "application/grpc-web" }, status.UNIMPLEMENTED, /grpc-web/],
    ] as const) {
      const answer = await call(method, envelope(request), headers);
      const what = `${method} with ${JSON.stringify(headers)}`;
      assert.equal(answer.code, code, what);
      assert.match(String(answer.headers["grpc-message"]), says, what);
      assert.equal(answer.headers["grpc-accept-encoding"], "identity,gzip", what);
    }
  }
});

test("a call that takes longer than it may ends with DEADLINE_EXCEEDED", async (t) => {
  const call = calls(t);
  process.kill(redis.pid, "SIGSTOP");
  try {
    for (const method of ["PushLogs", "StreamLogs"]) {
      const { code } = await call(method, envelope(request), { "grpc-timeout": "50m" });
      assert.equal(code, status.DEADLINE_EXCEEDED, method);
    }
  } finally {
    process.kill(redis.pid, "SIGCONT");
  }
});

test("of many small batches that arrive in one piece a limited number is read at a time", async (t) => {
  const stream = openStream(connectGrpc(t, server.grpc));
  await new Promise((resolve) => stream.call.once("metadata", resolve));
  const inFlight = () => server.metric("fleetlog_batches_in_flight");
  await waitFor("what other calls left", async () => (await inFlight()) === 0);
  process.kill(redis.pid, "SIGSTOP");
  let most = 0;
  try {
    for (let n = 1; n <= 500; n += 1) stream.send(encodeRequest(makeBatch(n, { sessionId: "small" })));
    await waitFor("the bound", async () => (await inFlight()) >= streamLimits.batchesMax);
    for (let look = 0; look < 10; look += 1) most = Math.max(most, await inFlight());
  } finally {
    process.kill(redis.pid, "SIGCONT");
  }
  assert.equal(most, streamLimits.batchesMax);
  await waitFor("every ack", () => stream.acks.length === 500);
});
