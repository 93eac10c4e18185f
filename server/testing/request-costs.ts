import { gzipSync } from "node:zlib";
import { toJsonString } from "@bufbuild/protobuf";
import { compressedFlag, encodeEnvelope } from "@connectrpc/connect/protocol";
import { limits } from "#batch/limits.ts";
import { bytesField, encodeBatch, tag, varint } from "#batch/testing/wire.ts";
import { createAttributes } from "#proto/attributes.ts";
import { LogBatchSchema } from "#proto/gen/fleetlog/v1/log_pb.ts";
import { encodeRequest, makeBatch, makeRecord, wrapBatch } from "./batches.ts";

/** One request as it is sent. */
export interface CostlyRequest {
  readonly name: string;
  readonly transport: "grpc" | "connect" | "ingest" | "otlp" | "otlp-grpc";
  /** A method of IngestService, or a whole path. */
  readonly path: "PushLogs" | "StreamLogs" | "GetSession" | `/${string}`;
  readonly contentType: string;
  readonly isGzip?: boolean;
  readonly body: Buffer;
}

const grpc = { transport: "grpc", contentType: "application/grpc" } as const;

const fill = (piece: string | Uint8Array, bytes: number) => Buffer.alloc(bytes, piece);

/**
 * The largest possible batch: 10,000 records that fill 1 MiB, with eight attributes each, in the field order of a
 * generated client.
 */
export const largestBatch = makeBatch(1, {
  records: Array.from({ length: limits.recordsMax }, (_, n) =>
    makeRecord(`lost ${n % 1000}`, {
      logger: "net",
      attributes: createAttributes({ h: "8", g: "77", f: "66", e: "5", d: "44", c: "333", b: "22", a: "1" }),
    }),
  ),
});

/** 1 MiB of text that a sender escapes, as Python's json does: three times as long in JSON. */
const escapedBatch = makeBatch(1, {
  records: Array.from({ length: limits.recordsMax }, (_, n) =>
    makeRecord(`соединение ${n} потеряно, снова через минуту`, { logger: "net" }),
  ),
});

export const honest: readonly CostlyRequest[] = [
  binary("gRPC", Buffer.from(encodeRequest(largestBatch)), grpc),
  binary("Connect", Buffer.from(encodeRequest(largestBatch))),
  json("eight attributes each", toJsonText(largestBatch)),
  json("text in escapes", toJsonText(escapedBatch).replaceAll(/[^ -~]/g, escapeCharacter)),
  json("text in escapes", toJsonText(escapedBatch).replaceAll(/[^ -~]/g, escapeCharacter), true),
];

function toJsonText(batch: typeof largestBatch): string {
  return `{"batch":${toJsonString(LogBatchSchema, batch)}}`;
}

function escapeCharacter(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
}

function json(name: string, body: Buffer | string, isGzip = false): CostlyRequest {
  const bytes = Buffer.from(body);
  return {
    name: `JSON${isGzip ? ", gzip" : ""}: ${name}`,
    transport: "connect",
    path: "PushLogs",
    contentType: "application/json",
    isGzip,
    body: isGzip ? gzipSync(bytes) : bytes,
  };
}

/** JSON of `bytes` bytes: a batch with one piece again and again. */
function repeated(head: string, piece: string, tail: string, bytes: number = limits.jsonBytesMax): Buffer {
  const count = Math.floor((bytes - head.length - tail.length) / piece.length);
  return Buffer.concat([Buffer.from(head), fill(piece, count * piece.length), Buffer.from(tail)]);
}

const head = '{"batch":{"deviceId":"a","records":[';
const inRecord = `${head}{"message":"m"`;
const tenThousand = (piece: string) => Array.from({ length: 10_000 }, () => piece).join();

function binary(name: string, body: Buffer, changes: Partial<CostlyRequest> = {}): CostlyRequest {
  return { name, transport: "connect", path: "PushLogs", contentType: "application/proto", body, ...changes };
}

const unknownField = Buffer.concat([varint(8 * 100), varint(0)]);
const mebibyte = limits.batchBytesMax;
const emptyAttributes = fill(Buffer.from([0x2a, 0]), mebibyte - 100);
const groups = Buffer.concat([
  ...Array.from({ length: 30 }, () => tag(100, 3)),
  ...Array.from({ length: 30 }, () => tag(100, 4)),
]);
export const attacks: readonly CostlyRequest[] = [
  json("{} again and again, 8 MiB", repeated(head, "{},", "{}]}}", 8 * mebibyte), true),
  json("{} again and again, 4 MiB", repeated(head, "{},", "{}]}}"), true),
  json("{} again and again", repeated(head, "{},", "{}]}}")),
  json(
    "arrays of {} again and again",
    repeated('{"batch":{', `"records":[${tenThousand("{}")}],`, '"a":1}}'),
  ),
  json(
    "batches of {} again and again",
    repeated("{", `"batch":{"records":[${tenThousand("{}")}]},`, '"a":1}'),
  ),
  json(
    "batches of too many records again and again",
    repeated("{", '"batch":{"records":[{},{}]},', `"batch":{"records":[${tenThousand("{}")}]}}`),
  ),
  json("batches of nothing again and again", repeated("{", '"batch":{},', '"a":1}'), true),
  json(
    "batches of records and none again and again",
    repeated("{", `"batch":{"records":[${tenThousand("{}")}]},"batch":null,`, '"a":1}'),
  ),
  json("batches of wrong names again and again", repeated("{", '"batch":{"deviceId":[]},', '"a":1}')),
  json("wrong sequences again and again", repeated('{"batch":{', '"sequence":[],', '"a":1}}'), true),
  json("wrong names again and again", repeated('{"batch":{', '"deviceId":7,', '"a":1}}'), true),
  json("wrong records again and again", repeated('{"batch":{', '"records":7,', '"a":1}}'), true),
  json("declarations again and again", repeated('{"batch":{', '"dropped":{"lastSequence":[]},', '"a":1}}')),
  json("wrong declarations again and again", repeated('{"batch":{"dropped":{', '"reason":[],', '"a":1}}}')),
  json("names of a session again and again", repeated("{", '"reportCommitted":{"deviceId":"a"},', '"a":1}')),
  json("numbers for records", `${head}${tenThousand("1")}]}}`),
  json("10,000 wrong severities", `${head}${tenThousand('{"severity":"LOUD","message":"m"}')}]}}`),
  json("10,000 wrong times", `${head}${tenThousand('{"timeUnixNano":"2026-02-30T00:00:00Z"}')}]}}`),
  json(
    "10,000 right times",
    `${head}${tenThousand('{"timeUnixNano":"2026-02-20T00:00:00.123456+01:00"}')}]}}`,
  ),
  json("10,000 NULs", `${head}${tenThousand('{"message":"\\u0000"}')}]}}`),
  json("space", repeated(head, " ", "{}]}}"), true),
  json("a long text", repeated(`${head}{"message":"`, "m", '"}]}}'), true),
  json("a long text of escapes", repeated(`${head}{"message":"`, "\\u0041", '"}]}}'), true),
  json("a long text of lone surrogates", repeated(`${head}{"message":"`, "\\ud83d", '"}]}}'), true),
  json("unknown keys", repeated(inRecord, ',"a":1', "}]}}"), true),
  json("known keys again and again", repeated(inRecord, ',"severity":"warn"', "}]}}"), true),
  json("times again and again", repeated(inRecord, ',"timeUnixNano":"2026-02-20T00:00:00Z"', "}]}}"), true),
  json("wrong severities again and again", repeated(inRecord, ',"severity":1e99', "}]}}"), true),
  json("escaped keys", repeated(inRecord, ',"\\u0041":1', "}]}}"), true),
  json("attributes", repeated(`${head}{"attributes":{"a":1`, ',"a":1', "}}]}}"), true),
  json("nested attributes", repeated(`${head}{"attributes":{"a":1`, ',"a":{}', "}}]}}"), true),
  json("arrays in an unknown key", repeated('{"x":[', "[[[[[]]]]],", "1]}"), true),
  json("numbers in an unknown key", repeated('{"x":[', "-1.5e-7,", "1]}"), true),
  json("a broken end", repeated(head, '{"message":"m"},', "{")),
  binary("Connect: unknown fields of a request", fill(unknownField, mebibyte)),
  binary("Connect: batches again and again", fill(Buffer.from([0x0a, 0]), mebibyte)),
  binary("Connect, gzip: a bomb", gzipSync(Buffer.alloc(64 * mebibyte)), { isGzip: true }),
  binary("Connect: unknown fields of a name", fill(unknownField, mebibyte), { path: "GetSession" }),
  binary("gRPC-Web: unknown fields of a request", enveloped(fill(unknownField, mebibyte)), {
    contentType: "application/grpc-web+proto",
  }),
  binary("gRPC: unknown fields of a request", fill(unknownField, 2 * mebibyte), grpc),
  binary("gRPC: batches again and again", fill(Buffer.from([0x0a, 0]), 2 * mebibyte), grpc),
  binary(
    "gRPC: 2 million empty records, 4 MiB",
    Buffer.from(wrapBatch(fill(Buffer.from([0x22, 0]), 4 * mebibyte - 5))),
    grpc,
  ),
  binary(
    "gRPC: 500,000 empty records",
    Buffer.from(wrapBatch(fill(Buffer.from([0x22, 0]), mebibyte - 5))),
    grpc,
  ),
  binary(
    "gRPC: 10,000 bad records",
    toBatch(Array.from({ length: 10_000 }, () => bytesField(4, "\0"))),
    grpc,
  ),
  binary("gRPC: unknown fields of a batch", Buffer.from(wrapBatch(fill(unknownField, mebibyte - 2))), grpc),
  binary("gRPC: groups within groups", Buffer.from(wrapBatch(fill(groups, mebibyte - 76))), grpc),
  binary("gRPC: empty attributes", toBatch([emptyAttributes]), grpc),
  binary("gRPC: names of sessions again and again", fill(Buffer.from([0x12, 0]), 2 * mebibyte), {
    ...grpc,
    path: "StreamLogs",
  }),
  binary("gRPC: a long name of a session", bytesField(2, fill(unknownField, 2 * mebibyte - 10)), {
    ...grpc,
    path: "StreamLogs",
  }),
  binary("gRPC: unknown fields of a name", fill(unknownField, mebibyte), { ...grpc, path: "GetSession" }),
  binary("gRPC, gzip: a bomb", gzipSync(Buffer.alloc(64 * mebibyte)), { ...grpc, isGzip: true }),
  binary("gRPC, gzip: unknown fields of a request", gzipSync(fill(unknownField, 4 * mebibyte)), {
    ...grpc,
    isGzip: true,
  }),
];

function toBatch(records: readonly Uint8Array[]): Buffer {
  return Buffer.from(wrapBatch(encodeBatch({ records })));
}

/** gRPC's and gRPC-Web's envelope. */
export function enveloped(message: Buffer, isGzip = false): Buffer {
  return Buffer.from(encodeEnvelope(isGzip ? compressedFlag : 0, message));
}
