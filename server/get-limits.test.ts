import assert from "node:assert/strict";
import { after, describe, test } from "node:test";
import { type MessageInitShape, toJson } from "@bufbuild/protobuf";
import { createClient } from "@connectrpc/connect";
import {
  createConnectTransport,
  createGrpcTransport,
  createGrpcWebTransport,
} from "@connectrpc/connect-node";
import { type GetLimitsResponse, IngestService } from "#proto/gen/fleetlog/v1/ingest_pb.ts";
import { type AttributeSchema, LogBatchSchema } from "#proto/gen/fleetlog/v1/log_pb.ts";
import { responseBytesMax } from "./ack.ts";
import { streamLimits } from "./streams/batch-pipeline.ts";
import { batchOfSize, encodeRequest, makeBatch, makeRecord, wrapBatch } from "./testing/batches.ts";
import { connectGrpc, pushGrpc } from "./testing/grpc-device.ts";
import { startServerAndRedis } from "./testing/server-program.ts";

const { server } = await startServerAndRedis({ after });
const grpcUrl = `http://${server.grpc}`;
const baseUrl = `http://${server.http}`;
const options = { baseUrl, httpVersion: "1.1" } as const;
const limits = await createClient(IngestService, createGrpcTransport({ baseUrl: grpcUrl })).getLimits({});

for (const [name, transport] of Object.entries({
  "gRPC-Web": createGrpcWebTransport(options),
  Connect: createConnectTransport({ ...options, useBinaryFormat: true }),
  "Connect in JSON": createConnectTransport({ ...options, useBinaryFormat: false }),
  "Connect by GET": createConnectTransport({ ...options, useBinaryFormat: true, useHttpGet: true }),
  "Connect in JSON by GET": createConnectTransport({ ...options, useBinaryFormat: false, useHttpGet: true }),
})) {
  test(`GetLimits returns over ${name} what it returns over gRPC, and the server's time`, async () => {
    const before = BigInt(Date.now()) * 1_000_000n;
    const response = await createClient(IngestService, transport).getLimits({});
    assert(response.serverTimeUnixNano >= before);
    assert.deepEqual({ ...response, serverTimeUnixNano: limits.serverTimeUnixNano }, limits);
  });
}

test("GetLimits answers curl", async () => {
  const url = `${baseUrl}/fleetlog.v1.IngestService/GetLimits`;
  for (const response of [
    await fetch(`${url}?connect=v1&encoding=json&message=%7B%7D`),
    await fetch(url, { method: "POST", headers: { "content-type": "application/json" }, body: "{}" }),
  ]) {
    assert.equal(response.status, 200);
    assert.equal(((await response.json()) as { recordsMax: number }).recordsMax, 10_000);
  }
  const bad = await fetch(url, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: "{",
  });
  assert.equal(bad.status, 400);
});

type BatchInit = MessageInitShape<typeof LogBatchSchema>;
type LimitName = Exclude<keyof GetLimitsResponse, "$typeName" | "$unknown" | "serverTimeUnixNano">;

/** A request whose value is of this size, for each place where the limit counts. */
const requests: Readonly<Record<LimitName, readonly ((size: number) => Uint8Array | string)[]>> = {
  batchBytesMax: [(size) => wrapBatch(batchOfSize(size))],
  recordsMax: [
    (size) => encodeRequest(makeBatch(1, { records: Array.from({ length: size }, () => makeRecord("")) })),
  ],
  messageBytesMax: [ofRecord((size) => ({ message: "m".repeat(size) }))],
  loggerBytesMax: [ofRecord((size) => ({ logger: "l".repeat(size) }))],
  eventNameBytesMax: [ofRecord((size) => ({ eventName: "e".repeat(size) }))],
  severityTextBytesMax: [ofRecord((size) => ({ severityText: "s".repeat(size) }))],
  attributesMax: ofAttributes((size) => Array.from({ length: size }, (_, n) => attribute(`a${n}`, "1"))),
  attributeKeyBytesMax: ofAttributes((size) => [attribute("k".repeat(size), "1")]),
  attributeValueBytesMax: ofAttributes((size) => [attribute("key", "v".repeat(size))]),
  deviceIdBytesMax: [ofBatch((size) => ({ deviceId: "d".repeat(size) }))],
  sessionIdBytesMax: [ofBatch((size) => ({ sessionId: "s".repeat(size) }))],
  droppedReasonBytesMax: [ofBatch((size) => ({ records: [], dropped: { reason: "r".repeat(size) } }))],
  deviceInfoBytesMax: (["firmware", "hardware", "site"] as const).map((name) =>
    ofBatch((size) => ({ device: { [name]: "i".repeat(size) } })),
  ),
  requestBytesMax: [(size) => padded(encodeRequest(makeBatch(1)), size)],
  jsonBytesMax: [(size) => JSON.stringify({ batch: toJson(LogBatchSchema, makeBatch(1)) }).padEnd(size)],
  // How many batches are in flight: batch-pipeline.test.ts. How large responses are: small-responses.test.ts.
  inFlightBatchesMax: [],
  inFlightBytesMax: [],
  responseBytesMax: [],
};

describe("every limit is what is enforced:", () => {
  for (const [name, makers] of Object.entries(requests) as [LimitName, (typeof requests)[LimitName]][]) {
    test(name, async () => {
      const limit = limits[name];
      assert(limit > 0);
      for (const make of makers) {
        assert.equal(await problemOf(make(limit)), undefined);
        assert.match((await problemOf(make(limit + 1))) ?? "none", new RegExp(String(limit)));
      }
    });
  }

  test("those of a stream, and of a response", () => {
    assert.equal(limits.inFlightBatchesMax, streamLimits.batchesMax);
    assert.equal(limits.inFlightBytesMax, streamLimits.bytesMax);
    assert.equal(limits.responseBytesMax, responseBytesMax);
  });
});

/** Why the batch is refused, or a record of it rejected. */
async function problemOf(request: Uint8Array | string): Promise<string | undefined> {
  if (typeof request === "string") return problemOfJson(request);
  const client = connectGrpc({ after }, server.grpc);
  try {
    return (await pushGrpc(client, request))?.rejections[0]?.reason;
  } catch (error) {
    return (error as Error).message;
  } finally {
    client.close();
  }
}

async function problemOfJson(body: string): Promise<string | undefined> {
  const headers = { "content-type": "application/json" };
  const url = `${baseUrl}/fleetlog.v1.IngestService/PushLogs`;
  const response = await fetch(url, { method: "POST", headers, body });
  return response.ok ? undefined : await response.text();
}

function ofBatch(change: (size: number) => BatchInit) {
  return (size: number) => encodeRequest(makeBatch(1, change(size)));
}

function ofRecord(change: (size: number) => Parameters<typeof makeRecord>[1]) {
  return ofBatch((size) => ({ records: [makeRecord("", change(size))] }));
}

/** In each of the three places that have attributes. */
function ofAttributes(make: (size: number) => MessageInitShape<typeof AttributeSchema>[]) {
  return [
    ofRecord((size) => ({ attributes: make(size) })),
    ofBatch((size) => ({ attributes: make(size) })),
    ofBatch((size) => ({ device: { attributes: make(size) } })),
  ];
}

function attribute(key: string, value: string) {
  return { key, value: { case: "stringValue", value } } as const;
}

/** The request with an unknown field that makes it this long. */
function padded(request: Uint8Array, size: number): Uint8Array {
  const tag = Buffer.from([0xfa, 0x01]); // field 31, of bytes
  const length = size - request.length - tag.length - 4;
  const varint = Buffer.from(
    [length & 0x7f, length >> 7, length >> 14, length >> 21].map((part, at) =>
      at < 3 ? (part & 0x7f) | 0x80 : part,
    ),
  );
  return Buffer.concat([request, tag, varint, Buffer.alloc(length)]);
}
