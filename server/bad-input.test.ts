import assert from "node:assert/strict";
import { after, test } from "node:test";
import { fromBinary, toBinary, toJson } from "@bufbuild/protobuf";
import { type ServiceError, status } from "@grpc/grpc-js";
import { createAttributes } from "#proto/attributes.ts";
import { PushLogsRequestSchema } from "#proto/gen/fleetlog/v1/ingest_pb.ts";
import { LogBatchSchema } from "#proto/gen/fleetlog/v1/log_pb.ts";
import { waitFor } from "#test/support/wait-for.ts";
import { batchOfSize, encodeRequest, makeBatch, makeRecord, wrapBatch } from "./testing/batches.ts";
import { openConnectStream } from "./testing/connect-device.ts";
import { connectGrpc, openStream, pushGrpc, readDetails } from "./testing/grpc-device.ts";
import { startServerAndRedis } from "./testing/server-program.ts";

const { server, entries } = await startServerAndRedis({ after });
const method = "/fleetlog.v1.IngestService/PushLogs";

/** Batches that are refused as a whole: the field, and words of the problem. */
const refused = [
  ["no device id", makeBatch(1, { deviceId: "" }), "batch.device_id", /missing/],
  ["forbidden characters", makeBatch(1, { deviceId: "a b" }), "batch.device_id", /"a b"/],
  ["a sequence without its session", makeBatch(1, { sessionId: "" }), "batch.session_id", /missing/],
  ["a session without a sequence", makeBatch(0), "batch.sequence", /missing/],
  ["a session of the server's kind", makeBatch(1, { sessionId: "~a" }), "batch.session_id", /"~a"/],
  ["no records", makeBatch(1, { records: [] }), "batch.records", /empty/],
  [
    "an attribute without a name",
    makeBatch(1, { attributes: [{ key: "" }] }),
    "batch.attributes[0]",
    /no name/,
  ],
  [
    "a NUL in an attribute",
    makeBatch(1, { attributes: createAttributes({ boot: "\0" }) }),
    'batch.attributes["boot"]',
    /NUL at byte 0/,
  ],
  [
    "a firmware of 257 bytes",
    makeBatch(1, { device: { firmware: "f".repeat(257) } }),
    "batch.device.firmware",
    /257 bytes long, the limit is 256/,
  ],
  [
    "65 attributes of a device",
    makeBatch(1, { device: { attributes: Array.from({ length: 65 }, (_, n) => ({ key: `k${n}` })) } }),
    "batch.device.attributes",
    /65 entries, the limit is 64/,
  ],
  [
    "10,001 records",
    makeBatch(1, { records: Array.from({ length: 10_001 }, () => makeRecord("")) }),
    "batch.records",
    /more than 10000/,
  ],
] as const;

/** Batches that JSON cannot express. */
const refusedBytes = [
  ["no batch", encodeRequest(undefined), "batch", /missing/],
  ["a batch of 1 MiB + 1", wrapBatch(batchOfSize(1024 * 1024 + 1)), "batch", /1048577 bytes.*1048576/],
  ["a truncated batch", wrapBatch(toBinary(LogBatchSchema, makeBatch(1)).subarray(0, -3)), "batch", /./],
  ["a truncated request", encodeRequest(makeBatch(1)).subarray(0, -3), "request", /not an encoded message/],
  ["a request that is noise", Buffer.from("\xff\xff\xff noise"), "request", /not an encoded message/],
] as const;

test("an invalid batch is refused on gRPC with the name of its field, and the next call is served", async (t) => {
  const client = connectGrpc(t, server.grpc);
  for (const [what, request, field, problem] of allRefused()) {
    const error = await pushGrpc(client, request).then(
      () => assert.fail(`${what} was taken`),
      (error: ServiceError) => error,
    );
    assert.equal(error.code, status.INVALID_ARGUMENT, what);
    assert.match(error.details, problem, what);
    assert.deepEqual(readDetails(error.metadata), { fields: [field], retryDelayMs: undefined }, what);
  }
  assert.equal((await pushGrpc(client, encodeRequest(makeBatch(1, { sessionId: "after" }))))?.accepted, 1);
  assert.equal((await entries("after")).length, 1);
});

test("an invalid batch gets an ack with its error, and the stream stays open", async (t) => {
  const stream = openStream(connectGrpc(t, server.grpc));
  let sent = 0;
  for (const [what, request, field, problem] of allRefused()) {
    stream.send(request);
    stream.send(encodeRequest(makeBatch(++sent, { sessionId: "streamed" })));
    await waitFor(`two acks after ${what}`, () => stream.acks.length === sent * 2);
    const [bad, good] = stream.acks.slice(-2);
    assert.equal(bad?.error?.code, status.INVALID_ARGUMENT, what);
    assert.equal(bad.error.field, field, what);
    assert.match(bad.error.message, problem, what);
    assert.equal(bad.error.retryDelayMs, 0, what);
    assert.equal(bad.sequence, sequenceIn(request), what);
    assert.equal(good?.error, undefined, what);
    assert.equal(good?.sequence, BigInt(sent), what);
  }
  stream.call.end();
  assert.equal((await stream.ended).code, status.OK);
  assert.equal((await entries("streamed")).length, sent);
});

for (const useBinaryFormat of [true, false]) {
  test(`the ack of a refused batch has its sequence on a Connect stream too, binary: ${useBinaryFormat}`, async (t) => {
    const stream = openConnectStream(t, server.http, useBinaryFormat);
    for (const [, batch] of refused) stream.send({ batch });
    await waitFor("the acks", () => stream.responses.length === refused.length);
    for (const [index, [what, batch, field]] of refused.entries()) {
      const ack = stream.responses[index]?.ack;
      assert.equal(ack?.error?.field, field, what);
      assert.equal(ack.sequence, batch.sequence, what);
    }
  });
}

test("an invalid batch is refused on Connect with the name of its field, in JSON and in binary", async () => {
  for (const [what, batch, field, problem] of refused) {
    const response = await postJson(JSON.stringify({ batch: toJson(LogBatchSchema, batch) }));
    await assertRefused(response, what, field, problem);
  }
  await assertRefused(await postJson("{}"), "no batch", "batch", /missing/);
  for (const [what, request, field, problem] of allRefused()) {
    await assertRefused(await post("application/proto", request), what, field, problem);
  }
});

test("JSON that is not a batch is refused with the name of the field", async () => {
  for (const [body, field, problem] of [
    ['{"batch":{"deviceId":7,"records":[{}]}}', "batch.device_id", /is "7", expected a string/],
    ['{"batch":{"deviceId":"a","sequence":"many","records":[{}]}}', "batch.sequence", /"many".*an integer/],
    ['{"batch":{"deviceId":"\\ud800","records":[{}]}}', "batch.device_id", /only A-Z/],
    ['{"batch":{"deviceId":"\xff","records":[{}]}}', "batch.device_id", /only A-Z/],
    ['{"batch":{"deviceId":"a","records":{}}}', "batch.records", /is "{}", expected an array/],
    ['{"batch":[]}', "batch", /is "\[\]", expected an object/],
    ['{"batch":', "request", /is not JSON: a value is missing, at byte 9/],
    [`{"x":${"[".repeat(8_000)}`, "request", /more than 64 nested objects and arrays/],
  ] as const) {
    const response = await post("application/json", Buffer.from(body, "latin1"));
    await assertRefused(response, body.slice(0, 60), field, problem);
  }
});

test("an invalid record is rejected alone: its neighbours are accepted, on every transport", async (t) => {
  const bad = [
    makeRecord("a\0b"),
    makeRecord("x".repeat(65_537)),
    makeRecord("loud", { severity: 99 as never }),
  ];
  const batch = makeBatch(1, {
    sessionId: "mixed",
    records: [makeRecord("first"), ...bad, makeRecord("last")],
  });
  const stream = openStream(connectGrpc(t, server.grpc));
  stream.send(encodeRequest(batch));
  await waitFor("the ack", () => stream.acks.length === 1);
  const unary = await pushGrpc(connectGrpc(t, server.grpc), encodeRequest(batch));
  for (const ack of [stream.acks[0], unary]) {
    assert.equal(ack?.accepted, 2);
    assert.deepEqual(
      ack.rejections.map(({ index }) => index),
      [1, 2, 3],
    );
    assert.match(ack.rejections.map(({ reason }) => reason).join(), /NUL.*65536.*99/s);
  }
  const json = await postJson(JSON.stringify({ batch: toJson(LogBatchSchema, batch) }));
  const { ack } = (await json.json()) as {
    ack: { accepted: number; rejections: unknown[]; sequence: string };
  };
  assert.equal(ack.accepted, 2);
  assert.equal(ack.rejections.length, 3);
  assert.equal(ack.sequence, "1");
  assert.equal((await entries("mixed")).length, 3);
  assert((await server.metric('fleetlog_records_total{outcome="rejected"')) >= 9);
});

test("a record that is not UTF-8 is rejected alone", async (t) => {
  const batch = Buffer.from(
    toBinary(LogBatchSchema, makeBatch(1, { records: [makeRecord("good"), makeRecord("QQQ")] })),
  );
  batch[batch.indexOf("QQQ")] = 0xff;
  const ack = await pushGrpc(connectGrpc(t, server.grpc), wrapBatch(batch));
  assert.equal(ack?.accepted, 1);
  assert.match(ack.rejections[0]?.reason ?? "", /UTF-8/);
});

test("a far too large request is an invalid argument, on every transport", async (t) => {
  const huge = wrapBatch(new Uint8Array(9 << 20));
  const client = connectGrpc(t, server.grpc);
  await assert.rejects(pushGrpc(client, huge), { code: status.INVALID_ARGUMENT });
  const stream = openStream(client);
  stream.send(huge);
  assert.equal((await stream.ended).code, status.INVALID_ARGUMENT);
  assert.equal((await postJson(JSON.stringify({ batch: "x".repeat(9 << 20) }))).status, 400);
  assert.equal((await post("application/proto", huge)).status, 400);
  assert.equal((await server.readyz()).status, 200);
});

test("an error names the wrong content type, method or path", async (t) => {
  const wrongType = await post("text/plain", "{}");
  assert.equal(wrongType.status, 415);
  assert.match(await wrongType.text(), /text\/plain/);
  const wrongMethod = await fetch(`http://${server.http}${method}`, {
    headers: { "content-type": "application/json" },
  });
  assert.equal(wrongMethod.status, 405);
  const wrongPath = await fetch(`http://${server.http}/nothing`, { method: "POST" });
  assert.equal(wrongPath.status, 404);
  assert.match(await wrongPath.text(), /unimplemented.*nothing/);
  await assert.rejects(pushGrpc(connectGrpc(t, server.grpc), Buffer.alloc(0), "Nothing"), {
    code: status.UNIMPLEMENTED,
  });
});

/** What a client would compare: the sequence as it was sent, wherever it can be read. */
function sequenceIn(request: Uint8Array): bigint {
  try {
    return fromBinary(PushLogsRequestSchema, request).batch?.sequence ?? 0n;
  } catch {
    return Buffer.from(request).includes(Buffer.from("boot-1")) ? 1n : 0n; // cut behind it
  }
}

function allRefused(): [string, Uint8Array, string, RegExp][] {
  return [
    ...refused.map(([what, batch, field, problem]): [string, Uint8Array, string, RegExp] => [
      what,
      encodeRequest(batch),
      field,
      problem,
    ]),
    ...refusedBytes.map((row): [string, Uint8Array, string, RegExp] => [...row]),
  ];
}

function postJson(body: string): Promise<Response> {
  return post("application/json", body);
}

function post(contentType: string, body: string | Uint8Array): Promise<Response> {
  return fetch(`http://${server.http}${method}`, {
    method: "POST",
    headers: { "content-type": contentType },
    body: body as string | Uint8Array<ArrayBuffer>,
  });
}

async function assertRefused(
  response: Response,
  what: string,
  field: string,
  problem: RegExp,
): Promise<void> {
  assert.equal(response.status, 400, what);
  const { code, message, details } = (await response.json()) as {
    code: string;
    message: string;
    details: { debug: { fieldViolations: { field: string }[] } }[];
  };
  assert.equal(code, "invalid_argument", what);
  assert.match(message, problem, what);
  assert.equal(details[0]?.debug.fieldViolations[0]?.field, field, what);
}
