import assert from "node:assert/strict";
import { request as httpRequest } from "node:http";
import { connect } from "node:net";
import { after, describe, test } from "node:test";
import { gzipSync } from "node:zlib";
import { fromBinary } from "@bufbuild/protobuf";
import { Redis } from "ioredis";
import { LogBatchSchema } from "#proto/gen/fleetlog/v1/log_pb.ts";
import { decodeEntry } from "#stream/entry.ts";
import { streamKey } from "#stream/keys.ts";
import { startServerAndRedis } from "../testing/server-program.ts";

const json = { "content-type": "application/json" };
const lines = { "content-type": "application/x-ndjson" };

interface Response {
  readonly status: number;
  readonly headers: Headers;
  readonly body: Record<string, unknown>;
}

const running = await startServerAndRedis({ after });

async function post(
  path: string,
  body: string | Buffer,
  headers: Record<string, string> = json,
): Promise<Response> {
  const response = await fetch(`http://${running.server.http}/v1/ingest/${path}`, {
    method: "POST",
    body,
    headers,
  });
  const text = await response.text();
  return { status: response.status, headers: response.headers, body: JSON.parse(text) as Response["body"] };
}

/** The messages of a device's records, in Redis. */
async function messagesOf(deviceId: string): Promise<string[]> {
  return (await entriesOf(deviceId)).flatMap(({ batch }) =>
    fromBinary(LogBatchSchema, batch).records.map(({ message }) => message),
  );
}

async function entriesOf(deviceId: string) {
  const redis = new Redis(running.redis.url);
  try {
    const shards = await Promise.all([0, 1].map((shard) => redis.xrangeBuffer(streamKey(shard), "-", "+")));
    return shards
      .flat()
      .map(([, fields]) => decodeEntry(fields))
      .filter((entry) => entry.deviceId === deviceId);
  } finally {
    redis.disconnect();
  }
}

describe("POST /v1/ingest/{device_id}", () => {
  test("stores an array, lines, values one after the other and a single object", async () => {
    const [a, b] = ['{"msg":"a"}', '{"msg":"b"}'];
    for (const [device, body, headers] of [
      ["array", `[${a},${b}]`, json],
      ["lines", `${a}\n${b}\n`, lines],
      ["values", `${a}${b}`, { "content-type": "Application/JSON; charset=utf-8" }],
      ["gzip", gzipSync(`[${a},${b}]`), { ...json, "content-encoding": "gzip" }],
    ] as const) {
      const { status, body: response } = await post(device, body, headers);
      assert.deepEqual([status, response], [200, { accepted: 2, rejected: 0, rejections: [] }], device);
      assert.deepEqual(await messagesOf(device), ["a", "b"]);
    }
    assert.equal((await post("single", '{\n"msg": "a"\n}')).body["accepted"], 1);
    assert.equal((await post("none", "[]")).body["accepted"], 0);
  });

  test("rejects a bad line with its number and reason, and stores its neighbours", async () => {
    const body = '{"msg":"a"}\n\nnot JSON\n{"msg":"b"}\n{"msg":"' + "m".repeat(65_537) + '"}\n';
    const { status, body: response } = await post("bad-line", body, lines);
    assert.equal(status, 200);
    assert.deepEqual([response["accepted"], response["rejected"]], [2, 2]);
    const [first, second] = response["rejections"] as { index: number; line: number; reason: string }[];
    assert.deepEqual(first, {
      index: 1,
      line: 3,
      reason: "record is not JSON: a value is missing, at byte 0",
    });
    assert.deepEqual([second?.index, second?.line], [3, 5]);
    assert.match(second?.reason ?? "", /message.*65537.*65536/);
    assert.equal((await messagesOf("bad-line")).length, 4); // the consumer keeps what is rejected as dead letters
  });

  test("splits what is larger than a batch, and responds when all of it is on disk", async () => {
    const { body } = await post("large", '{"msg":"m"}\n'.repeat(25_000), lines);
    assert.equal(body["accepted"], 25_000);
    const entries = await entriesOf("large");
    assert.equal(entries.length, 3);
  });

  test("names a batch by its content where every record has a time, so that a retry is recognised", async () => {
    const timed = '{"ts":1764262862.5,"msg":"a"}\nnot JSON\n';
    for (const body of [timed, timed, `${timed}{"msg":"without a time"}`]) await post("retried", body, lines);
    const names = (await entriesOf("retried")).map(({ sessionId, sequence }) => `${sessionId} ${sequence}`);
    assert.equal(names.length, 3);
    assert.equal(names[0], names[1]);
    assert.notEqual(names[0], names[2]);
  });

  test("numbers a batch by session and sequence, in the query or headers", async () => {
    await post("numbered?session=s1&sequence=7", '{"msg":"a"}');
    await post("numbered", '{"msg":"b"}', { ...json, "fleetlog-session": "s1", "fleetlog-sequence": "8" });
    const entries = await entriesOf("numbered");
    assert.deepEqual(
      entries.map(({ sessionId, sequence }) => [sessionId, sequence]),
      [
        ["s1", 7n],
        ["s1", 8n],
      ],
    );
    const { status, body } = await post("numbered?session=s1&sequence=9", '{"msg":"m"}\n'.repeat(10_001));
    assert.equal(status, 400);
    assert.match(
      String(body["message"]),
      /with a sequence a request is one batch, 10000 of its 10001 records fit/,
    );
    assert.equal((await entriesOf("numbered")).length, 2);
  });

  for (const [what, path, body, headers, status, message] of [
    ["a bad device", "a%20b", "{}", json, 400, /^batch.device_id is "a b"/],
    ["no device", "", "{}", json, 400, /^batch.device_id is missing/],
    ["a malformed escape", "%zz", "{}", json, 400, /^batch.device_id is "%zz"/],
    ["a session alone", "d?session=s", "{}", json, 400, /^batch.sequence is missing/],
    ["a sequence that is none", "d?session=s&sequence=-1", "{}", json, 400, /^batch.sequence is "-1"/],
    ["an empty body", "d", "", json, 400, /^request is empty/],
    ["an array that is not JSON", "d", "[{},", json, 400, /^request is not JSON/],
    ["gzip that is none", "d", "{}", { ...json, "content-encoding": "gzip" }, 400, /not valid gzip/],
    ["another encoding", "d", "{}", { ...json, "content-encoding": "br" }, 415, /expected gzip/],
    ["another type", "d", "a=b", { "content-type": "text/plain" }, 415, /expected application\/json or/],
    ["too many records", "d", "{}".repeat(100_001), json, 400, /more than 100000 records/],
  ] as const) {
    test(`refuses ${what} with ${status}, in words and details`, async () => {
      const response = await post(path, body, headers);
      assert.equal(response.status, status);
      assert.match(String(response.body["message"]), message);
      assert.ok(Array.isArray(response.body["details"]));
    });
  }

  test("refuses more than 16 MiB with 413 before it has read them, also decompressed", async () => {
    const bomb = gzipSync(Buffer.alloc(17 * 1024 * 1024, "\n"));
    const response = await post("bomb", bomb, { ...lines, "content-encoding": "gzip" });
    assert.equal(response.status, 413);
    assert.match(String(response.body["message"]), /decompresses to more than 16777216 bytes/);
    const answer = await announce(running.server.http, 20_000_000);
    assert.match(answer, /^HTTP\/1.1 413 .*connection: close.*is at least 20000000 bytes/is);
    assert.equal(await endlessBody(running.server.http), 413);
  });

  test("refuses other methods with 405 and Allow", async () => {
    for (const method of ["GET", "PUT", "DELETE"]) {
      const response = await fetch(`http://${running.server.http}/v1/ingest/d`, { method });
      assert.deepEqual([response.status, response.headers.get("allow")], [405, "POST"]);
    }
  });

  test("takes a body in small pieces, and survives a sender that leaves in the middle", async () => {
    const [host, port] = running.server.http.split(":") as [string, string];
    const socket = connect(Number(port), host);
    socket.write(
      `POST /v1/ingest/left HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{`,
    );
    await new Promise((resolve) => socket.once("connect", resolve));
    socket.destroy();
    assert.equal((await post("after", '{"msg":"still there"}')).status, 200);
    assert.deepEqual(await messagesOf("left"), []);
  });
});

test("a server whose Redis is gone answers 503 with Retry-After", async (t) => {
  const { redis, server } = await startServerAndRedis(t);
  process.kill(redis.pid, "SIGKILL");
  const refused = await fetch(`http://${server.http}/v1/ingest/d`, {
    method: "POST",
    body: "{}",
    headers: json,
  });
  assert.equal(refused.status, 503);
  assert.match(refused.headers.get("retry-after") ?? "", /^\d+$/);
  assert.equal(((await refused.json()) as { code: string }).code, "unavailable");
});

/** The response to a request that only says how long it is. */
function announce(address: string, bytes: number): Promise<string> {
  const [host, port] = address.split(":") as [string, string];
  return new Promise((resolve, reject) => {
    let text = "";
    const socket = connect(Number(port), host, () =>
      socket.write(
        `POST /v1/ingest/d HTTP/1.1\r\nhost: ${address}\r\ncontent-type: application/json\r\ncontent-length: ${bytes}\r\n\r\n`,
      ),
    );
    socket.on("data", (data) => (text += data.toString()));
    socket.on("close", () => resolve(text));
    socket.on("error", reject);
  });
}

/** The status of a chunked request that goes on until it is answered. */
function endlessBody(address: string): Promise<number | undefined> {
  const [host, port] = address.split(":") as [string, string];
  return new Promise((resolve) => {
    const request = httpRequest({ host, port, method: "POST", path: "/v1/ingest/d", headers: lines });
    const piece = Buffer.alloc(256 * 1024, "{}\n");
    request.on("response", (response) => {
      resolve(response.statusCode);
      request.destroy();
    });
    request.on("error", () => {}); // the server closes the connection
    const write = () => {
      if (!request.destroyed && request.write(piece)) setImmediate(write);
    };
    request.on("drain", write);
    write();
  });
}
