import assert from "node:assert/strict";
import { after, test } from "node:test";
import { gzipSync } from "node:zlib";
import { fromBinary } from "@bufbuild/protobuf";
import { encodeEnvelope } from "@connectrpc/connect/protocol";
import { status } from "@grpc/grpc-js";
import { StreamLogsResponseSchema } from "#proto/gen/fleetlog/v1/ingest_pb.ts";
import { Http1Calls, Http2Calls } from "#test/fuzz/http-calls.ts";
import { waitFor } from "#test/support/wait-for.ts";
import { encodeRequest, makeBatch, makeRecord } from "../testing/batches.ts";
import { startServerAndRedis } from "../testing/server-program.ts";
import { splitEnvelopes } from "../testing/split-envelopes.ts";

// What a client library never sends: found by `npm run fuzz`, each a code that blamed us, or a call that never ended.

const { server } = await startServerAndRedis({ after });
const push = "/fleetlog.v1.IngestService/PushLogs";
const stream = "/fleetlog.v1.IngestService/StreamLogs";
const reflection = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";
const good = Buffer.from(encodeRequest(makeBatch(1)));
const grpc = { te: "trailers", "content-type": "application/grpc" };
const noMessage = Buffer.from([0xff, 0xff, 0xff]);

test("a gRPC message that cannot be read is the sender's mistake", async (t) => {
  const calls = new Http2Calls(server.grpc);
  t.after(() => calls.close());
  for (const [what, path, headers, body] of [
    ["no gzip", push, { "grpc-encoding": "gzip" }, envelope(1, good)],
    ["no message", "/grpc.health.v1.Health/Check", {}, envelope(0, noMessage)],
    ["a timeout without a unit", push, { "grpc-timeout": "1" }, envelope(0, good)],
    ["a bomb", push, { "grpc-encoding": "gzip" }, envelope(1, gzipSync(Buffer.alloc(64 << 20)))],
    ["4 GiB announced", push, {}, Buffer.from([0, 0xff, 0xff, 0xff, 0xff, 0])],
  ] as const) {
    const answer = await calls.send({ path, headers: { ...grpc, ...headers }, pieces: [body], end: "end" });
    assert.equal(Number(answer.headers["grpc-status"]), status.INVALID_ARGUMENT, what);
  }
});

test("gRPC takes gzip, message by message, and answers in order", async (t) => {
  const calls = new Http2Calls(server.grpc);
  t.after(() => calls.close());
  const messages = Array.from({ length: 40 }, (_, n) => {
    const request = Buffer.from(encodeRequest(makeBatch(n + 1, { sessionId: "packed" })));
    return n % 3 === 0 ? envelope(0, request) : envelope(1, gzipSync(request));
  });
  const headers = { ...grpc, "grpc-encoding": "gzip" };
  const whole = Buffer.concat(messages);
  const pieces = [whole.subarray(0, 700), whole.subarray(700, 705), whole.subarray(705)];
  const answer = await calls.send({ path: stream, headers, pieces, end: "end" });
  assert.equal(Number(answer.headers["grpc-status"]), status.OK);
  const acks = (await splitEnvelopes(answer.body)).map(
    ({ data }) => fromBinary(StreamLogsResponseSchema, data).ack,
  );
  assert.deepEqual(
    acks.map((ack) => [Number(ack?.sequence), ack?.accepted]),
    messages.map((_, n) => [n + 1, 1]),
  );
  const unary = await calls.send({ path: push, headers, pieces: [envelope(1, gzipSync(good))], end: "end" });
  assert.equal(Number(unary.headers["grpc-status"]), status.OK);
  const other = await calls.send({
    path: push,
    headers: { ...grpc, "grpc-encoding": "deflate" },
    pieces: [envelope(1, good)],
    end: "end",
  });
  assert.equal(Number(other.headers["grpc-status"]), status.UNIMPLEMENTED);
  assert.equal(other.headers["grpc-accept-encoding"], "identity,gzip");
});

test("a packed stream stays open after a batch that is too large, and its ack has the number, as without compression", async (t) => {
  const tooLarge = Buffer.from(
    encodeRequest(
      makeBatch(7, { records: Array.from({ length: 20 }, () => makeRecord("m".repeat(60_000))) }),
    ),
  );
  for (const [calls, headers] of [
    [new Http2Calls(server.grpc), { ...grpc, "grpc-encoding": "gzip" }],
    [
      new Http2Calls(server.http),
      { "content-type": "application/connect+proto", "connect-content-encoding": "gzip" },
    ],
  ] as const) {
    t.after(() => calls.close());
    for (const first of [envelope(0, tooLarge), envelope(1, gzipSync(tooLarge))]) {
      const pieces = [first, envelope(1, gzipSync(good))];
      const { body } = await calls.send({ path: stream, headers, pieces, end: "end" });
      const refused = fromBinary(StreamLogsResponseSchema, body.subarray(5, 5 + body.readUInt32BE(1)));
      assert.deepEqual([refused.ack?.sequence, refused.ack?.error?.field], [7n, "batch"]);
      const next = body.subarray(5 + body.readUInt32BE(1));
      const taken = fromBinary(StreamLogsResponseSchema, next.subarray(5, 5 + next.readUInt32BE(1)));
      assert.deepEqual([taken.ack?.accepted, taken.ack?.error], [1, undefined]);
    }
  }
});

test("a stream whose third message cannot be read ends, with the acks before it still in flight", async (t) => {
  const calls = new Http2Calls(server.grpc);
  t.after(() => calls.close());
  const pieces = [Buffer.concat([envelope(0, good), envelope(0, good), envelope(0, noMessage)])];
  const answer = await calls.send({ path: reflection, headers: grpc, pieces, end: "end" });
  assert.equal(Number(answer.headers["grpc-status"]), status.INVALID_ARGUMENT);
});

test("a compressed gRPC-Web message without the name of its encoding is the sender's mistake", async (t) => {
  const calls = new Http1Calls(server.http);
  t.after(() => calls.close());
  const headers = { "content-type": "application/grpc-web+proto" };
  const answer = await calls.send({ path: push, headers, pieces: [envelope(1, gzipSync(good))], end: "end" });
  assert.match(answer.body.toString("latin1"), /grpc-status: 3\r\n/);
});

test("a stream of JSON stays open after a message that is no JSON, no batch, or holds what is not UTF-8", async (t) => {
  const calls = new Http2Calls(server.http);
  t.after(() => calls.close());
  const headers = { "content-type": "application/connect+json" };
  for (const [bad, answer] of [
    ["{", /"sequence":"0",.*"code":"BATCH_ERROR_CODE_INVALID_ARGUMENT","field":"request".*not JSON/],
    [
      '{"batch":{"sessionId":"s","sequence":"7","records":[{}]}}',
      /"sequence":"7".*"field":"batch.device_id"/,
    ],
    [
      batchOf('{"message":"bad \xff"},{"message":"good"}'),
      /"accepted":1.*"index":0,"reason":"message is not UTF-8/,
    ],
    [batchOf('7,{"message":"half of \\ud83d"}'), /"accepted":1.*"index":0,"reason":"record is a number/],
  ] as const) {
    const pieces = [bad, batchOf('{"message":"good"}')].map((json) =>
      envelope(0, Buffer.from(json, "latin1")),
    );
    const said = (await calls.send({ path: stream, headers, pieces, end: "end" })).body.toString();
    assert.match(said, answer, bad);
    assert.ok(said.includes('"accepted":1,"rejections":[],"rejected":0,') && said.endsWith("{}"), bad);
  }
});

test("gzip is taken over Connect, and what does not unpack to a request is the sender's mistake", async (t) => {
  const calls = new Http2Calls(server.http);
  t.after(() => calls.close());
  const broken = gzipSync(good).subarray(0, -12);
  for (const [what, body, expected] of [
    ["a batch", gzipSync(good), /^(?!.*error)/s],
    [
      "a bomb",
      gzipSync(Buffer.alloc(64 << 20)),
      /"invalid_argument".*decompresses to more than 2097152 bytes/,
    ],
    ["cut short", broken, /"invalid_argument"/],
    ["no gzip", good, /"invalid_argument"/],
  ] as const) {
    const unary = { "content-type": "application/proto", "content-encoding": "gzip" };
    const alone = await calls.send({ path: push, headers: unary, pieces: [body], end: "end" });
    assert.match(alone.body.toString("latin1"), expected, what);
    assert.equal(alone.headers[":status"], what === "a batch" ? 200 : 400, what);
    const streamed = { "content-type": "application/connect+proto", "connect-content-encoding": "gzip" };
    const pieces = [envelope(1, body)];
    const answer = await calls.send({ path: stream, headers: streamed, pieces, end: "end" });
    const said = answer.body.toString("latin1");
    assert.match(said, expected, what);
    assert.equal(said.includes('"error"'), what !== "a batch", `${what}: ${said}`);
  }
});

test("a device that hangs up in the middle of a Connect stream counts as Canceled", async (t) => {
  const calls = new Http2Calls(server.http);
  t.after(() => calls.close());
  const series = (name: string, code = "") =>
    server.metric(
      `grpc_server_${name}_total{grpc_type="bidi_stream",grpc_service="fleetlog.v1.IngestService",grpc_method="StreamLogs"${code && `,grpc_code="${code}"`}`,
    );
  const bad = await series("handled", "InvalidArgument");
  const headers = { "content-type": "application/connect+proto" };
  for (let batches = 1; batches < 40; batches += 2) {
    const pieces = Array.from({ length: batches }, () => envelope(0, good));
    const call = { path: stream, headers, pieces, end: "vanish" } as const;
    await Promise.all(Array.from({ length: 10 }, () => calls.send(call)));
  }
  await waitFor("every call to end", async () => {
    const codes = ["OK", "Canceled", "InvalidArgument"].map((code) => series("handled", code));
    const handled = (await Promise.all(codes)).reduce((sum, count) => sum + count);
    return handled === (await series("started"));
  });
  assert.equal(await series("handled", "InvalidArgument"), bad);
  assert.ok((await series("handled", "Canceled")) > 0);
});

function batchOf(records: string): string {
  return `{"batch":{"deviceId":"a","records":[${records}]}}`;
}

function envelope(flags: number, message: Buffer): Buffer {
  return Buffer.from(encodeEnvelope(flags, message));
}
