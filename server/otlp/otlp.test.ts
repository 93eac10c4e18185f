import assert from "node:assert/strict";
import { after, describe, test } from "node:test";
import { gzipSync } from "node:zlib";
import { type ServiceError, status } from "@grpc/grpc-js";
import { scan } from "#batch/scan.ts";
import { varint } from "#batch/testing/wire.ts";
import { encodeOtlp, type OtlpRecord, type OtlpRequest } from "#otlp/testing/otlp.ts";
import { exportGrpc, exportHttp, readHttpResponse } from "#test/support/otlp-sender.ts";
import { connectGrpc } from "../testing/grpc-device.ts";
import { startServerAndRedis } from "../testing/server-program.ts";

const { server, entries } = await startServerAndRedis({ after });
const client = connectGrpc({ after }, server.grpc);
const url = `http://${server.http}`;
const time = (nanos: number) => String(1_700_000_000_000_000_000n + BigInt(nanos));

function request(...logRecords: OtlpRecord[]): OtlpRequest {
  const resource = { attributes: [{ key: "host.name", value: { stringValue: "pump-1" } }] };
  return { resourceLogs: [{ resource, scopeLogs: [{ scope: { name: "test" }, logRecords }] }] };
}
const body = (stringValue: string) => ({ body: { stringValue } });

test("a request is the same batch by gRPC and HTTP, in protobuf and JSON, packed or not", async () => {
  const one = request({
    timeUnixNano: time(1),
    severityNumber: 9,
    attributes: [
      { key: "n", value: { intValue: "-7" } },
      { key: "list", value: { arrayValue: { values: [{ doubleValue: 1.5 }, { boolValue: true }] } } },
      { key: "bytes", value: { bytesValue: "aGk=" } },
    ],
    traceId: "0af7651916cd43dd8448eb211c80319c",
    flags: 1,
    ...body('ü"\n'),
  });
  const [binary, json] = [encodeOtlp(one), JSON.stringify(one)];
  await exportGrpc(client, binary);
  for (const packed of [false, true]) {
    for (const content of [binary, json]) {
      const { status, contentType, partial } = await exportHttp(url, content, { gzip: packed });
      assert.equal(status, 200);
      assert.equal(contentType, content === json ? "application/json" : "application/x-protobuf");
      assert.deepEqual(partial, { rejected: 0, message: "" });
    }
  }
  const stored = await entries("~otlp");
  assert.equal(stored.length, 5);
  assert.equal(stored[0]!.deviceId, "pump-1");
  for (const { sequence, digest } of stored) {
    assert.equal(sequence, stored[0]!.sequence);
    assert.deepEqual(digest, stored[0]!.digest);
  }
});

test("records without any time may come again, and get an identity that no other batch has", async () => {
  const before = (await entries("~otlp")).length;
  const [accepted] = [await server.metric('fleetlog_batches_total{outcome="accepted"')];
  for (let time = 0; time < 2; time++) await exportGrpc(client, encodeOtlp(request(body("no time"))));
  assert.equal((await entries("~otlp")).length, before);
  assert.equal(await server.metric('fleetlog_batches_total{outcome="accepted"'), accepted + 2);
});

test("rejects records one by one, with exact numbers, and says which", async () => {
  const records = Array.from({ length: 300 }, (_, index) =>
    index % 3 === 0 ? body("x".repeat(65_537)) : { ...body("good"), timeUnixNano: time(index) },
  );
  const mixed = request(...records.slice(0, 60), { severityNumber: 99 });
  for (const content of [encodeOtlp(mixed), JSON.stringify(mixed)]) {
    const { status, partial } = await exportHttp(url, content);
    assert.equal(status, 200);
    assert.equal(partial.rejected, 21);
    assert.match(
      partial.message,
      /^21 of 61 records rejected: record 0: message is 65537 bytes long, the limit is 65536/,
    );
  }
  const partial = await exportGrpc(client, encodeOtlp(request(...records)));
  assert.equal(partial.rejected, 100);
});

test("an empty request is a success", async () => {
  assert.deepEqual(await exportGrpc(client, Buffer.alloc(0)), { rejected: 0, message: "" });
  for (const empty of [Buffer.alloc(0), "{}"]) assert.equal((await exportHttp(url, empty)).status, 200);
});

test("a request that becomes several batches answers when all of them are on disk", async () => {
  const before = (await entries("~otlp")).length;
  const records = Array.from({ length: 21_000 }, (_, index) => ({
    ...body(`many ${index}`),
    timeUnixNano: time(index),
  }));
  await exportGrpc(client, encodeOtlp(request(...records)));
  const stored = (await entries("~otlp")).slice(before);
  assert.deepEqual(
    stored.map(({ batch }) => scan(batch).recordCount).sort((a, b) => a - b),
    [1_000, 10_000, 10_000],
  );
});

describe("what can never be stored is refused for good, in the encoding of the request", () => {
  const bomb = gzipSync(Buffer.alloc(64 << 20));

  const malformed = [
    ["bytes that are no protobuf", Buffer.from("noise"), /not a protobuf ExportLogsServiceRequest/],
    [
      "millions of empty resources",
      Buffer.alloc(4 << 20, Buffer.from([0x0a, 0])),
      /more than 40000 resources/,
    ],
    ["text that is no JSON", "{", /not JSON/],
    ["JSON of another kind", '{"resourceLogs":5}', /resource_logs is "5", expected an array/],
    [
      "JSON with a body that is no AnyValue",
      JSON.stringify({ resourceLogs: [{ scopeLogs: [{ logRecords: [{ body: "x" }] }] }] }),
      /body is "x", expected an object/,
    ],
    ["JSON nested without end", `{"resourceLogs":${"[".repeat(100_000)}`, /./],
  ] as const;
  for (const [what, content, reason] of malformed) {
    test(what, async () => {
      const { status: httpStatus, contentType, error, retryAfter } = await exportHttp(url, content);
      assert.equal(httpStatus, 400);
      assert.equal(contentType, typeof content === "string" ? "application/json" : "application/x-protobuf");
      assert.equal(error.code, status.INVALID_ARGUMENT);
      assert.match(error.message, reason);
      assert.equal(retryAfter, null);
      if (typeof content === "string") return;
      const failed = await exportGrpc(client, content).then(
        () => assert.fail("was taken"),
        (error: ServiceError) => error,
      );
      assert.equal(failed.code, status.INVALID_ARGUMENT);
    });
  }

  test("a request over the limit", async () => {
    const large = Buffer.alloc((16 << 20) + 1);
    const { status: httpStatus, error } = await exportHttp(url, large);
    assert.deepEqual([httpStatus, error.code], [413, status.INVALID_ARGUMENT]);
    assert.match(error.message, /the limit is 16777216/);
    await assert.rejects(exportGrpc(client, large), {
      code: status.INVALID_ARGUMENT,
      details: /the limit is 16777216/,
    });
  });

  test("a gzip bomb", async () => {
    const { status, error } = await exportHttp(url, bomb, { "content-encoding": "gzip" });
    assert.equal(status, 413);
    assert.match(error.message, /decompresses to more than 16777216 bytes/);
  });

  test("another type, encoding or method", async () => {
    const ok = encodeOtlp(request(body("x")));
    for (const [headers, httpStatus, reason] of [
      [{ "content-type": "text/plain" }, 415, /content-type: "text\/plain"/],
      [{ "content-encoding": "zstd" }, 415, /content-encoding: "zstd", expected gzip/],
    ] as const) {
      const { status, error } = await exportHttp(url, ok, headers);
      assert.equal(status, httpStatus);
      assert.match(error.message, reason);
    }
    const got = await readHttpResponse(await fetch(`${url}/v1/logs`));
    assert.deepEqual([got.status, got.headers.get("allow")], [405, "POST"]);
  });

  test("traces and metrics", async () => {
    for (const signal of ["traces", "metrics"]) {
      const response = await fetch(`${url}/v1/${signal}`, {
        method: "POST",
        headers: { "content-type": "application/x-protobuf" },
        body: new Uint8Array(),
      });
      const { status: httpStatus, error } = await readHttpResponse(response);
      assert.deepEqual([httpStatus, error.code], [404, status.UNIMPLEMENTED]);
      assert.match(error.message, /logs only/);
    }
    await assert.rejects(
      new Promise((resolve, reject) => {
        const path = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
        client.makeUnaryRequest(path, bytes, bytes, Buffer.alloc(0), (error) =>
          error ? reject(error) : resolve(0),
        );
      }),
      { code: status.UNIMPLEMENTED, details: /logs only/ },
    );
  });

  test("a value nested a hundred thousand times rejects its record, and its neighbour is stored", async () => {
    const record = (content: Buffer) => message(0x12, content);
    const value = message(0x2a, nestedValue(100_000));
    const good = message(0x2a, message(0x0a, Buffer.from("good")));
    const nested = message(0x0a, message(0x12, Buffer.concat([record(value), record(good)])));
    const partial = await exportGrpc(client, nested);
    assert.equal(partial.rejected, 1);
    assert.match(partial.message, /nested more than 32 levels/);
  });
});

/** An AnyValue that is an array with an array in it, and so on. */
function nestedValue(depth: number): Buffer {
  const prefixes: Buffer[] = [];
  let length = 0;
  for (let level = 0; level < 2 * depth; level++) {
    const prefix = Buffer.concat([Buffer.from([level % 2 === 0 ? 0x0a : 0x2a]), varint(length)]);
    prefixes.push(prefix);
    length += prefix.length;
  }
  return Buffer.concat(prefixes.toReversed());
}

function message(tag: number, content: Buffer): Buffer {
  return Buffer.concat([Buffer.from([tag]), varint(content.length), content]);
}

function bytes(value: Buffer): Buffer {
  return value;
}
