import { brotliCompressSync, gzipSync } from "node:zlib";
import { toJsonString } from "@bufbuild/protobuf";
import type { Random } from "#batch/testing/random.ts";
import { LogBatchSchema } from "#proto/gen/fleetlog/v1/log_pb.ts";
import { encodeRequest, makeBatch, wrapBatch } from "#server/testing/batches.ts";
import type { Block, BlockRun } from "../block.ts";
import { Http1Calls, Http2Calls, type HttpCall } from "../http-calls.ts";
import { readCode } from "../response.ts";
import type { Target } from "../target.ts";
import { mutatedBatch } from "./batches.ts";

export const envelopes: Block = {
  name: "envelopes",
  title: "broken envelopes of gRPC, gRPC-Web and Connect, compressed and not, directly and through Nginx",
  countFull: 20_000,
  countSmoke: 250,
  workers: 8,
  start: async ({ system }) => new EnvelopesRun(system),
};

class EnvelopesRun implements BlockRun {
  readonly #grpc: readonly Http2Calls[];
  readonly #http: readonly (Http1Calls | Http2Calls)[];

  constructor({ servers, nginx }: Target["system"]) {
    const { http = "" } = servers[0]!.addresses;
    // One has the fast path, the other has not.
    const direct = servers.map(({ addresses }) => new Http2Calls(addresses.grpc ?? ""));
    this.#grpc = [...direct, new Http2Calls(nginx.grpc)];
    this.#http = [new Http2Calls(http), new Http1Calls(http), new Http1Calls(nginx.http)];
  }

  async tryOne(random: Random, _index: number, note: (what: string) => void): Promise<string> {
    const isGrpc = random.chance(0.5);
    const calls = random.pick(isGrpc ? this.#grpc : this.#http);
    const call = isGrpc ? grpcCall(random) : httpCall(random);
    const shown = Buffer.concat(call.pieces).toString("hex", 0, 200);
    const { path, headers, end } = call;
    note(`${isGrpc ? "gRPC" : calls.constructor.name} ${path} ${JSON.stringify(headers)} ${end} ${shown}`);
    return readCode(await calls.send(call));
  }

  async finish(): Promise<void> {
    for (const calls of [...this.#grpc, ...this.#http]) calls.close();
  }
}

const ingest = "/fleetlog.v1.IngestService";
const requestBytes = Buffer.from(encodeRequest(makeBatch(1, { deviceId: "envelopes" })));
const requestJson = `{"batch":${toJsonString(LogBatchSchema, makeBatch(1, { deviceId: "envelopes" }))}}`;

/** A thousandth of what they become. */
const bombs = [1, 9, 64].map((mebibytes) => Buffer.alloc(mebibytes << 20, 0x20));
const gzipBombs = bombs.map((bomb) => gzipSync(bomb));
const brotliBomb = brotliCompressSync(bombs[1]!);

function grpcCall(random: Random): HttpCall {
  return {
    path: random.pick([
      `${ingest}/PushLogs`,
      `${ingest}/StreamLogs`,
      `${ingest}/StreamLogs`,
      "/grpc.health.v1.Health/Check",
      "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
    ]),
    headers: {
      te: "trailers",
      "content-type": usually(random, "application/grpc", contentTypes),
      ...maybe(random, "grpc-encoding", encodings),
      ...maybe(random, "grpc-timeout", ["1n", "0S", "99999999H", "-1S", "1", "soon", "999999999999S"]),
      ...maybe(random, "grpc-accept-encoding", ["gzip", "", "lzma,,,"]),
      ...maybe(random, "x-bin", ["%%%"]),
      ...maybe(random, "grpc-status-details-bin", ["no base64 !"]),
    },
    ...body(random, createEnvelopes(random, "binary")),
  };
}

function httpCall(random: Random): HttpCall {
  const contentType = usually(random, random.pick(contentTypes), ["", ...contentTypes]);
  const isStream = /connect\+/.test(contentType) === random.chance(0.95);
  const format = contentType.includes("json") ? "json" : "binary";
  const isEnveloped = /connect\+|grpc/.test(contentType) || random.chance(0.1);
  return {
    path: `${ingest}/${isStream ? "StreamLogs" : "PushLogs"}`,
    headers: {
      "content-type": contentType,
      ...maybe(random, "content-encoding", encodings),
      ...maybe(random, "connect-content-encoding", encodings),
      ...maybe(random, "grpc-encoding", encodings),
      ...maybe(random, "connect-protocol-version", ["1", "2", "", "one"]),
      ...maybe(random, "connect-timeout-ms", ["1", "0", "-1", "soon", "99999999999999999999"]),
      ...maybe(random, "connect-accept-encoding", ["br", "zip"]),
    },
    ...body(random, isEnveloped ? createEnvelopes(random, format) : payload(random, format)),
  };
}

function createEnvelopes(random: Random, format: Format): Buffer {
  const count = random.pick([0, 1, 1, 1, 2, 3]);
  const envelopes = Array.from({ length: count }, () => envelope(random, format));
  const trailing = random.chance(0.1) ? [Buffer.alloc(1 + random.below(8), random.below(256))] : [];
  const whole = Buffer.concat([...envelopes, ...trailing]);
  return random.chance(0.1) ? whole.subarray(0, random.below(whole.length + 1)) : whole;
}

/** One byte of flags, four of length, the message. */
function envelope(random: Random, format: Format): Buffer {
  const message = payload(random, format);
  const head = Buffer.alloc(5);
  head[0] = usually(random, 0, [0, 1, 1, 1, 2, 3, 0x80, 0x81, random.below(256)]);
  const lies = [0, message.length + 1, message.length >> 1, 2 ** 20, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1];
  head.writeUInt32BE(random.chance(0.2) ? random.pick(lies) : message.length, 1);
  return Buffer.concat([head, message]);
}

type Format = "binary" | "json";

function payload(random: Random, format: Format): Buffer {
  const good = format === "json" ? Buffer.from(requestJson) : requestBytes;
  switch (random.below(11)) {
    case 0:
      return Buffer.alloc(0);
    case 1:
      return gzipSync(good);
    case 2:
      return random.pick(gzipBombs);
    case 3:
      return gzipSync(good).subarray(0, 12);
    case 4:
      return Buffer.concat([gzipSync(good), Buffer.from("trailing")]);
    case 5:
      return format === "json" ? mutatedJson(random) : Buffer.from(wrapBatch(mutatedBatch(random)));
    case 6:
      return Buffer.from(Array.from({ length: random.below(40) }, () => random.below(256)));
    case 7:
      return brotliBomb;
    case 8:
      return random.pick([gzipSync(gzipSync(good)), gzipSync(""), gzipSync("\xff\xff")]);
    default:
      return good;
  }
}

function mutatedJson(random: Random): Buffer {
  const at = random.below(requestJson.length);
  const end = at + random.below(4);
  const piece = random.pick([
    "\ud800",
    "\\ud800",
    "\0",
    '"',
    "{",
    "[[[[",
    "1e999",
    "\u2028",
    "null",
    "-",
    ",",
  ]);
  return Buffer.from(requestJson.slice(0, at) + piece + requestJson.slice(end));
}

function body(random: Random, bytes: Buffer): Pick<HttpCall, "pieces" | "end"> {
  const cut = random.below(bytes.length + 1);
  const pieces = random.chance(0.3) ? [bytes.subarray(0, cut), bytes.subarray(cut)] : [bytes];
  return { pieces: pieces.filter(({ length }) => length > 0), end: random.chance(0.05) ? "vanish" : "end" };
}

function usually<T>(random: Random, value: T, others: readonly T[]): T {
  return random.chance(0.8) ? value : random.pick(others);
}

function maybe(random: Random, name: string, values: readonly string[]): Record<string, string> {
  return random.chance(0.2) ? { [name]: random.pick(values) } : {};
}

const encodings = ["gzip", "gzip", "gzip", "br", "identity", "deflate", "snappy", "", "gzip, gzip"];

const contentTypes = [
  "application/proto",
  "application/json",
  "application/connect+proto",
  "application/connect+json",
  "application/grpc-web",
  "application/grpc-web+proto",
  "application/grpc-web+json",
  "application/grpc-web-text",
  "application/grpc",
  "application/grpc+proto",
  "application/grpc+json",
  "application/grpc+thrift",
  "application/json; charset=utf-16",
  "text/plain",
  "application/",
  "a/b/c; =",
];
