import assert from "node:assert/strict";
import { after, describe, test } from "node:test";
import { fromBinary, fromJsonString, toJson } from "@bufbuild/protobuf";
import {
  type Ack,
  BatchErrorCode,
  PushLogsRequestSchema,
  PushLogsResponseSchema,
} from "#proto/gen/fleetlog/v1/ingest_pb.ts";
import { LogBatchSchema, type Severity } from "#proto/gen/fleetlog/v1/log_pb.ts";
import { Http2Calls } from "#test/fuzz/http-calls.ts";
import { encodeRequest, makeBatch, makeRecord } from "./testing/batches.ts";
import { enveloped } from "./testing/request-costs.ts";
import { startServerAndRedis } from "./testing/server-program.ts";
import { splitEnvelopes } from "./testing/split-envelopes.ts";

// A receive buffer of 1 KiB always suffices: ingest.proto. A device need not ask for anything.

const bytesMax = 1_024;
const { server } = await startServerAndRedis({ after });
const [grpc, http] = [new Http2Calls(server.grpc), new Http2Calls(server.http)];
after(() => [grpc, http].forEach((calls) => calls.close()));

/** Only text that takes the most room in one encoding or the other. */
const widestTexts = ['"'.repeat(127), "😀".repeat(31), "\u0001".repeat(127), "\\".repeat(127)];

/** The field number of rejections_max, and a number. */
const rejectionsMax = (count: number) => Buffer.from([0x20, count]);

type Send = (request: Uint8Array, method: string) => Promise<Received>;

interface Received {
  /** Each is what a device has to hold in one piece: a message, an error body, the trailers of a status. */
  readonly parts: readonly number[];
  readonly ack: Ack | undefined;
}

const transports: Readonly<Record<string, Send>> = {
  async gRPC(request, method) {
    const { body, headers } = await grpc.send(
      call(method, "application/grpc", enveloped(Buffer.from(request))),
    );
    const trailers = ["grpc-status", "grpc-message", "grpc-status-details-bin"].map((name) =>
      headers[name] === undefined ? 0 : `${name}: ${String(headers[name])}`.length,
    );
    const messages = await splitEnvelopes(body);
    const ack = messages[0] && fromBinary(PushLogsResponseSchema, messages[0].data).ack;
    return { parts: [sum(trailers), ...messages.map(({ data }) => data.length)], ack };
  },
  async "gRPC-Web"(request, method) {
    const { body } = await http.send(
      call(method, "application/grpc-web+proto", enveloped(Buffer.from(request))),
    );
    const frames = await splitEnvelopes(body);
    const message = frames.find(({ flags }) => flags === 0);
    const ack = message && fromBinary(PushLogsResponseSchema, message.data).ack;
    return { parts: frames.map(({ data }) => data.length), ack };
  },
  async Connect(request, method) {
    if (method === "StreamLogs") return connectStream("proto", request);
    const { status, body } = await http.send(call(method, "application/proto", Buffer.from(request)));
    return {
      parts: [body.length],
      ack: status === 200 ? fromBinary(PushLogsResponseSchema, body).ack : undefined,
    };
  },
  async "Connect JSON"(request, method) {
    const json = Buffer.from(toJsonRequest(request));
    if (method === "StreamLogs") return connectStream("json", json);
    const { status, body } = await http.send(call(method, "application/json", json));
    return { parts: [body.length], ack: status === 200 ? readJson(body) : undefined };
  },
};

const many = 10_000;
const rejected = (count: number, name: string) =>
  encodeRequest(
    makeBatch(2 ** 53, {
      records: Array.from({ length: count }, () =>
        makeRecord("", { attributes: [{ key: name, value: { case: "stringValue", value: "\0" } }] }),
      ),
    }),
  );

const requests: readonly [string, Uint8Array][] = [
  ["10,000 rejected records", encodeRequest(makeBatch(2 ** 53, { records: nulRecords(many) }))],
  ...widestTexts.map((name): [string, Uint8Array] => [
    `rejections that quote ${JSON.stringify(name.slice(0, 2))}`,
    rejected(200, name),
  ]),
  ...widestTexts.map((deviceId): [string, Uint8Array] => [
    `a refusal that quotes ${JSON.stringify(deviceId.slice(0, 2))}`,
    encodeRequest(makeBatch(1, { deviceId })),
  ]),
  ["a refusal without a device", encodeRequest(makeBatch(1, { deviceId: "" }))],
];

for (const [name, send] of Object.entries(transports)) {
  describe(name, () => {
    for (const method of ["PushLogs", "StreamLogs"]) {
      for (const [what, request] of requests) {
        test(`${method}: ${what}: no part of the response exceeds 1 KiB`, async () => {
          const { parts } = await send(request, method);
          assert(parts.length > 0 && parts.every((bytes) => bytes <= bytesMax), `${parts.join(", ")} bytes`);
        });
      }
    }

    test("the number of rejected records is exact, and the first 16 of them are listed", async () => {
      const records = Array.from({ length: many }, () => makeRecord("", { severity: 99 as Severity }));
      const { ack } = await send(encodeRequest(makeBatch(1, { records })), "PushLogs");
      assert.equal(ack?.rejected, many);
      assert.deepEqual(
        ack.rejections.map(({ index }) => index),
        Array.from({ length: name.endsWith("JSON") ? ack.rejections.length : 16 }, (_, index) => index),
      );
      assert(ack.rejections.length >= 10);
    });

    test("a request that asks for more gets more, up to 100", async () => {
      const request = encodeRequest(makeBatch(1, { records: nulRecords(150) }));
      for (const [asked, expected] of [
        [1, 1],
        [17, 17],
        [100, 100],
        [120, 100],
      ] as const) {
        const { ack } = await send(Buffer.concat([request, rejectionsMax(asked)]), "PushLogs");
        assert.equal(ack?.rejections.length, expected);
        assert.equal(ack.rejected, 150);
      }
    });

    test("every ack has the time of the server, also that of a refused batch", async () => {
      const requests = [makeBatch(1), makeBatch(1, { deviceId: "" })].map(encodeRequest);
      for (const request of requests) {
        const before = BigInt(Date.now()) * 1_000_000n;
        const { ack } = await send(request, "StreamLogs");
        assert(ack && ack.serverTimeUnixNano >= before, `${ack?.serverTimeUnixNano}`);
        assert(ack.serverTimeUnixNano <= BigInt(Date.now()) * 1_000_000n);
      }
    });

    test("the ack of a sender without state has the session and the sequence that the server assigned", async () => {
      const request = encodeRequest(makeBatch(0, { sessionId: "" }));
      const { ack: first } = await send(request, "PushLogs");
      const { ack: second } = await send(request, "PushLogs");
      assert.match(first?.sessionId ?? "", /^~[0-9a-f]{16}$/);
      assert.equal(second?.sessionId, first?.sessionId);
      assert.equal(second?.sequence, (first?.sequence ?? 0n) + 1n);
      const { ack: numbered } = await send(encodeRequest(makeBatch(3)), "PushLogs");
      assert.equal(numbered?.sessionId, "");
      assert.equal(numbered.sequence, 3n);
    });

    test("a refused batch has its code from the enum", async () => {
      const { ack } = await send(encodeRequest(makeBatch(7, { deviceId: "" })), "StreamLogs");
      assert.equal(ack?.error?.code, BatchErrorCode.INVALID_ARGUMENT);
      assert.equal(ack.sequence, 7n);
    });
  });
}

function nulRecords(count: number) {
  return Array.from({ length: count }, () => makeRecord("\0"));
}

function call(method: string, contentType: string, piece: Buffer) {
  return {
    path: `/fleetlog.v1.IngestService/${method}`,
    headers: { te: "trailers", "content-type": contentType },
    pieces: [piece],
    end: "end",
  } as const;
}

async function connectStream(encoding: "json" | "proto", request: Uint8Array): Promise<Received> {
  const piece = enveloped(Buffer.from(request));
  const { body } = await http.send(call("StreamLogs", `application/connect+${encoding}`, piece));
  const frames = await splitEnvelopes(body);
  const message = frames.find(({ flags }) => flags === 0)?.data;
  const ack =
    message && (encoding === "json" ? readJson(message) : fromBinary(PushLogsResponseSchema, message).ack);
  return { parts: frames.map(({ data }) => data.length), ack };
}

function readJson(body: Uint8Array): Ack | undefined {
  return fromJsonString(PushLogsResponseSchema, Buffer.from(body).toString()).ack;
}

/** The same request in JSON, with text that is no UTF-8 and no JSON as JSON can have it. */
function toJsonRequest(request: Uint8Array): string {
  const { batch, rejectionsMax } = fromBinary(PushLogsRequestSchema, request);
  return JSON.stringify({ rejectionsMax, batch: batch && toJson(LogBatchSchema, batch) });
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
