import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { request as httpRequest } from "node:http";
import { connect as connectSocket } from "node:net";
import { Writable } from "node:stream";
import { after, before, describe, test } from "node:test";
import { setImmediate } from "node:timers/promises";
import { brotliCompressSync, gzipSync } from "node:zlib";
import { create, toBinary } from "@bufbuild/protobuf";
import { encodeEnvelope } from "@connectrpc/connect/protocol";
import { pino } from "pino";
import { ListLogsRequestSchema } from "#proto/gen/fleetlog/v1/query_pb.ts";
import { listLogsPath, startWithTwoHosts } from "../testing/two-hosts.ts";

const lines: string[] = [];
const log = new Writable({
  write(chunk, _encoding, done) {
    lines.push(String(chunk));
    done();
  },
});

let gateway: Awaited<ReturnType<typeof startWithTwoHosts>>;
before(async () => {
  gateway = await startWithTwoHosts({ logger: pino({ level: "info" }, log) });
});
after(() => gateway[Symbol.asyncDispose]());

const filter = (conditions: string) => `{"filter":${conditions}}`;
const nested = (depth: number) => filter(`{"text":${"[".repeat(depth)}${"]".repeat(depth)}}`);
const inside = (depth: number) =>
  filter(`{"attributes":[${'{"name":'.repeat(depth)}"a"${"}".repeat(depth)}]}`);
const list = (field: string, count: number, value: string) =>
  filter(`{"${field}":[${Array.from({ length: count }, () => value).join(",")}]}`);
const varint = (value: number): number[] =>
  value < 128 ? [value] : [(value & 127) | 128, ...varint(value >>> 7)];

/** A body, and what it is answered. */
const jsonBodies: readonly (readonly [name: string, body: string, said: RegExp])[] = [
  ["JSON nested 8,000 deep", nested(8000), /^request: JSON nested too deeply, expected at most 16 levels/],
  [
    "JSON nested deeper than any stack",
    nested(32_000),
    /^request: JSON nested too deeply, expected at most 16 levels/,
  ],
  ["objects nested 4,000 deep", inside(4000), /^request: JSON nested too deeply, expected at most 16 levels/],
  [
    "nested without an end",
    `{"text":${"[".repeat(60_000)}`,
    /^request: JSON nested too deeply, expected at most 16 levels/,
  ],
  ["20,000 empty conditions", list("attributes", 20_000, "{}"), /^request: more than 1000 values/],
  ["400 empty conditions", list("attributes", 400, "{}"), /^attributes: 400 values, expected at most 8/],
  ["30,000 severities", list("severities", 30_000, "1"), /^request: more than 1000 values/],
  ["900 severities", list("severities", 900, "99"), /^severities: /],
  ["900 devices", list("device_ids", 900, '"a"'), /^device_ids: 900 values, expected at most 100/],
  ["a text of 60,000 characters", filter(`{"text":"${"x".repeat(60_000)}"}`), /^text: 60000 characters/],
  ["a filter that is none", filter(`[${"1,".repeat(900)}1]`), /^filter: /],
  ["filters in filters", filter('{"filter":{"filter":{}}}'), /^filter: unknown field/],
  [
    "a value of 60,000 characters",
    list("attributes", 1, `{"name":"a","value":"${"x".repeat(60_000)}"}`),
    /^attributes: a value of 60000 bytes/,
  ],
  ["keys of every prototype", '{"__proto__":{"text":"x"},"constructor":1}', /unknown field/],
  ["a page token of 60,000 characters", JSON.stringify({ pageToken: "A".repeat(60_000) }), /^page_token: /],
  ["a page token named as a prototype", '{"pageToken":"__proto__"}', /^page_token: /],
  ["a number of 60,000 digits", `{"pageSize":${"9".repeat(60_000)}}`, /^page_size: /],
  ["a time of 60,000 digits", `{"startTime":"${"9".repeat(60_000)}-01-01T00:00:00Z"}`, /^start_time: /],
  ["backslashes without an end", `{"text":"${"\\\\".repeat(30_000)}`, /^request: /],
];

// Made before there are connections: it can take seconds, in which the gateway's side of them would grow too old.
const gzipBomb = gzipSync(Buffer.alloc(16 << 20, 0x20));
const brotliBomb = brotliCompressSync(Buffer.alloc(64 << 20, 0x20));

describe("a request that is to cost more than it may is INVALID_ARGUMENT with the limit", () => {
  for (const [name, body, said] of jsonBodies) {
    test(`${name}, in each way JSON is sent`, async () => {
      const answers = [await send(body), await send(gzipSync(body), { "content-encoding": "gzip" })];
      for (const { status, text } of answers) {
        assert.deepEqual([status, codeOf(text)], [400, "invalid_argument"], text.slice(0, 200));
        assert.match(messageOf(text), said);
      }
      for (const flag of [0, 1]) {
        const message = flag === 0 ? Buffer.from(body) : gzipSync(body);
        const { text } = await send(envelope(message, flag), {
          "content-type": "application/grpc-web+json",
          "grpc-encoding": "gzip",
        });
        assert.match(text, /grpc-status: 3/);
        const path = "/fleetlog.v1.QueryService/TailLogs";
        const tail = await send(
          envelope(message, flag),
          { "content-type": "application/connect+json", "connect-content-encoding": "gzip" },
          path,
        );
        assert.match(tail.text, /"invalid_argument"|"unimplemented"/);
      }
    });
  }

  for (const [encoding, bomb, said] of [
    ["gzip", gzipBomb, /decompresses to more than 65536 bytes/],
    ["br", brotliBomb, /expected gzip or no compression/],
  ] as const) {
    test(`${bomb.length} bytes of ${encoding} that unpack to megabytes`, async () => {
      const plain = await send(bomb, { "content-encoding": encoding });
      assert.deepEqual([plain.status, codeOf(plain.text)], [400, "invalid_argument"]);
      assert.match(messageOf(plain.text), said);
      const web = await send(envelope(bomb, 1), {
        "content-type": "application/grpc-web+proto",
        "grpc-encoding": encoding,
      });
      assert.match(web.text, /grpc-status: 3/);
      assert.match(decodeURIComponent(web.text.replaceAll("%%", "")), said);
      const query = `encoding=json&base64=1&compression=${encoding}&message=${bomb.toString("base64url")}`;
      const get = await gateway.get(`${listLogsPath}?${query}`);
      assert.deepEqual([get.status, get.body.code], [400, "invalid_argument"]);
      assert.match(get.body.message, said);
    });
  }

  const binaryBodies: readonly (readonly [name: string, body: Buffer, said: RegExp])[] = [
    ["groups without an end", Buffer.alloc(60_000, 0xa3), /^request: /],
    ["groups nested 30,000 deep", Buffer.alloc(60_000, 0x0b), /wire type 3/],
    ["an endless varint", Buffer.alloc(60_000, 0xff), /^request: /],
    [
      "30,000 unknown fields",
      Buffer.from(Array.from({ length: 20_000 }, () => [0xf8, 0x07, 0]).flat()),
      /more than 1000 values/,
    ],
    ["a length beyond the end", Buffer.from([0x2a, ...varint(2 ** 31 - 1), 0x78]), /^request: /],
  ];
  for (const [name, body, said] of binaryBodies) {
    test(`${name} of protobuf`, async () => {
      const { status, text } = await send(body, { "content-type": "application/proto" });
      assert.deepEqual([status, codeOf(text)], [400, "invalid_argument"], text);
      assert.match(messageOf(text), said);
    });
  }

  test("20,000 empty conditions of protobuf", async () => {
    for (const inFilter of [true, false]) {
      const conditions = Buffer.alloc(40_000);
      for (let at = 0; at < conditions.length; at += 2) conditions[at] = 0x62;
      const body = Buffer.concat([
        Buffer.from([0x0a, ...varint(inFilter ? conditions.length : 0)]),
        conditions,
      ]);
      const { status, text } = await send(body, { "content-type": "application/proto" });
      assert.equal(status, 400);
      assert.match(messageOf(text), /more than 1000 values/);
    }
  });

  test("an envelope that is not one message", async () => {
    const message = Buffer.from("{}");
    for (const body of [
      Buffer.alloc(0),
      Buffer.from([0, 0, 0]),
      Buffer.concat([envelope(message, 0), envelope(message, 0)]),
      envelope(message, 0).subarray(0, -1),
      Buffer.from([0, 0xff, 0xff, 0xff, 0xff, 0x7b, 0x7d]),
    ]) {
      const { text } = await send(body, { "content-type": "application/grpc-web+json" });
      assert.match(text, /grpc-status: 3/);
    }
  });
});

test("what is packed and small is taken, however it is sent", async () => {
  const json = JSON.stringify({ filter: { deviceId: "host-2" } });
  const binary = toBinary(
    ListLogsRequestSchema,
    create(ListLogsRequestSchema, { filter: { deviceId: "host-2" } }),
  );
  const answers = [
    await send(gzipSync(json), { "content-encoding": "gzip" }),
    await send(gzipSync(binary), { "content-encoding": "gzip", "content-type": "application/proto" }),
    await send(envelope(gzipSync(json), 1), {
      "content-type": "application/grpc-web+json",
      "grpc-encoding": "gzip",
    }),
  ];
  for (const { status, text } of answers) {
    assert.equal(status, 200);
    assert.match(text, /host-2/);
  }
  const query = `encoding=json&base64=1&compression=gzip&message=${gzipSync(json).toString("base64url")}`;
  assert.match(JSON.stringify((await gateway.get(`${listLogsPath}?${query}`)).body.logs), /host-2/);
});

test("a forged page token of any kind is INVALID_ARGUMENT and names the field", async () => {
  const positions = [
    "",
    "1",
    "1 2 3 4 5",
    "1.5 a",
    "1e-99 a",
    "1e-999 a",
    "NaN a",
    "__proto__ constructor",
    "9999999999999999999 a",
  ];
  for (const path of [
    "/v1/logs?",
    "/v1/logs?oldest_first=true&",
    "/v1/devices?",
    ...["LAST_SEEN", "RECORD_COUNT", "ERROR_COUNT", "ERROR_RATIO"].map(
      (order) => `/v1/devices?order=${order}&`,
    ),
    "/v1/devices/host-1?sessions_max=1&",
    "/v1/dead-letters?",
    "/v1/incidents?",
  ]) {
    const query = await digestOf(path);
    for (const position of positions) {
      const body = Buffer.concat([query, Buffer.from(position)]);
      const checksum = createHash("sha256").update(body).digest().subarray(0, 4);
      const token = Buffer.concat([checksum, body]).toString("base64url");
      const { status, body: answer } = await gateway.get(`${path}page_token=${token}`);
      const isGood = status === 400 ? answer.message.startsWith("page_token: ") : status === 200;
      assert.ok(isGood, `${path} ${position}: ${status} ${answer.message}`);
    }
  }
});

test("a caller that leaves at any moment is not an error of ours", async () => {
  lines.length = 0;
  const body = JSON.stringify({ filter: { text: "x" } });
  for (const [sent, declared] of [
    ["", body.length],
    [body.slice(0, 5), body.length],
    [body, body.length],
    [body, 70_000],
  ] as const) {
    for (const path of [listLogsPath, "/fleetlog.v1.QueryService/GetHistogram"]) {
      const socket = connectSocket(gateway.port, "127.0.0.1");
      const head = `POST ${path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: ${declared}`;
      socket.write(`${head}\r\n\r\n${sent}`);
      await setImmediate();
      socket.resetAndDestroy();
      await once(socket, "close");
    }
  }
  for (const path of ["/v1/logs?text=x", "/v1/export", "/v1/statistics"]) {
    const sent = httpRequest(gateway.url + path, { agent: false });
    sent.on("error", () => {});
    sent.end();
    await once(sent, "socket");
    await setImmediate();
    const closed = new Promise((resolve) => sent.once("close", resolve));
    sent.destroy();
    await closed;
  }
  // What they began has ended when what came after them has.
  assert.equal((await gateway.get("/v1/logs?text=after")).status, 200);
  assert.deepEqual(
    lines.filter((line) => /"level":[45]0/.test(line)),
    [],
  );
});

test("no request costs more CPU than a few of the largest honest one", async (t) => {
  const honest = JSON.stringify({
    filter: {
      deviceIds: ids(100),
      excludedDeviceIds: ids(300),
      attributes: Array.from({ length: 8 }, (_, index) => ({ name: `n${index}`, value: "v".repeat(1000) })),
      text: "x".repeat(200),
    },
  });
  const unit = Math.max(await costOf(honest), await costOf(honest));
  const worst = [
    ...jsonBodies.map(([name, body]) => [name, body, {}] as const),
    ["a bomb of gzip", gzipBomb, { "content-encoding": "gzip" }] as const,
    ["a bomb of Brotli", brotliBomb, { "content-encoding": "br" }] as const,
  ];
  for (const [name, body, headers] of worst) {
    // The least of some tries: others use this machine too.
    let ratio = Number.POSITIVE_INFINITY;
    for (let round = 0; round < 3 && ratio > 3; round += 1)
      ratio = Math.min(ratio, (await costOf(body, headers)) / unit);
    t.diagnostic(`${name}: ${ratio.toFixed(2)}`);
    assert.ok(ratio <= 3, `${name}: ${ratio.toFixed(1)} times`);
  }
});

/** Answers are to be read as they are. */
const unpacked = {
  "accept-encoding": "identity",
  "connect-accept-encoding": "identity",
  "grpc-accept-encoding": "identity",
};

async function send(body: string | Buffer, headers: Record<string, string> = {}, path = listLogsPath) {
  const response = await fetch(gateway.url + path, {
    method: "POST",
    body: Buffer.from(body),
    headers: { "content-type": "application/json", ...unpacked, ...headers },
  });
  return { status: response.status, text: await response.text() };
}

function envelope(message: Uint8Array, flag: number): Buffer {
  return Buffer.from(encodeEnvelope(flag, message));
}

function codeOf(text: string): string {
  return (JSON.parse(text) as { code: string }).code;
}

function messageOf(text: string): string {
  return (JSON.parse(text) as { message: string }).message;
}

/** What a token of the query begins with, out of a token of it; random where it has but one page. */
async function digestOf(path: string): Promise<Buffer> {
  const { body } = await gateway.get(`${path}page_size=1`);
  return Buffer.from(body.nextPageToken || "A".repeat(24), "base64url").subarray(4, 12);
}

function ids(from: number): string[] {
  return Array.from({ length: 100 }, (_, index) => `${"d".repeat(120)}${from + index}`);
}

/** The CPU time of this process, client included, for twenty calls. */
async function costOf(body: string | Buffer, headers = {}): Promise<number> {
  await send(body, headers);
  const before = process.cpuUsage();
  for (let call = 0; call < 20; call += 1) await send(body, headers);
  const { user, system } = process.cpuUsage(before);
  return user + system;
}
