import assert from "node:assert/strict";
import { request as httpRequest } from "node:http";
import { connect as connectSocket } from "node:net";
import { text as readText } from "node:stream/consumers";
import { after, before, describe, test } from "node:test";
import { create, toBinary } from "@bufbuild/protobuf";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createConnectTransport, createGrpcWebTransport } from "@connectrpc/connect-node";
import { Severity } from "#proto/gen/fleetlog/v1/log_pb.ts";
import { ListLogsRequestSchema, QueryService } from "#proto/gen/fleetlog/v1/query_pb.ts";
import { BadRequestSchema } from "#proto/gen/google/rpc/error_details_pb.ts";
import { createDatabase, type TestDatabase } from "#test/support/postgres.ts";
import { openPool } from "./test/open-pool.ts";
import { seed } from "./test/seed.ts";
import { startGateway } from "./test/start-gateway.ts";

const micros = 1_767_225_600_000_000n;
const listLogsPath = "/fleetlog.v1.QueryService/ListLogs";

let database: TestDatabase;
let gateway: Awaited<ReturnType<typeof startGateway>>;

before(async () => {
  database = await createDatabase();
  const pool = openPool(database.url);
  await seed(pool, [
    {
      deviceId: "host-1",
      sessionId: "boot",
      sequence: 7,
      receivedMicros: micros + 5_000_001n,
      records: [
        { timeMicros: micros + 1n, severity: 9, logger: "net", message: "up", attributes: { if: "eth0" } },
        { timeMicros: micros + 2n, severity: 17, message: "Link DOWN 100%" },
        { timeMicros: micros + 3_000_000n },
      ],
    },
    {
      deviceId: "host-2",
      receivedMicros: micros,
      records: [{ timeMicros: micros, severity: 17, logger: "long".repeat(500) }],
    },
  ]);
  await pool.end();
  gateway = await startGateway(database.url);
});
after(async () => {
  await gateway[Symbol.asyncDispose]();
  await database[Symbol.asyncDispose]();
});

interface Answer {
  readonly status: number;
  readonly headers: Headers;
  // biome-ignore lint/suspicious/noExplicitAny: the shape of JSON is what these tests look at
  readonly body: Record<string, any>;
}

async function get(path: string, init?: RequestInit): Promise<Answer> {
  const response = await fetch(gateway.url + path, init);
  const body = await response.text();
  return { status: response.status, headers: response.headers, body: body === "" ? {} : JSON.parse(body) };
}

function post(path: string, body: unknown, headers: Record<string, string> = {}): Promise<Answer> {
  return get(path, {
    method: "POST",
    body: body instanceof Uint8Array || typeof body === "string" ? (body as string) : JSON.stringify(body),
    headers: { "content-type": "application/json", ...headers },
  });
}

describe("a record in JSON", () => {
  const newest = {
    time: "2026-01-01T00:00:03Z",
    receivedAt: "2026-01-01T00:00:05.000001Z",
    deviceId: "host-1",
    sessionId: "boot",
    sequence: "7",
    index: 2,
    severity: "SEVERITY_UNSPECIFIED",
    logger: "",
    message: "",
    attributes: {},
  };

  test("has microseconds, int64 as strings and every zero value, alike over REST and Connect", async () => {
    const rest = await get("/v1/logs?device_id=host-1");
    assert.equal(rest.status, 200);
    assert.equal(rest.headers.get("content-type"), "application/json");
    assert.deepEqual(rest.body.logs[0], newest);
    assert.equal(rest.body.logs[2].time, "2026-01-01T00:00:00.000001Z");
    assert.deepEqual(rest.body.logs[2].attributes, { if: "eth0" });
    assert.equal(rest.body.nextPageToken, "");
    const connect = await post(listLogsPath, { deviceId: "host-1" });
    assert.deepEqual(connect.body, rest.body);
    const message = encodeURIComponent(JSON.stringify({ deviceId: "host-1" }));
    const connectGet = await get(`${listLogsPath}?encoding=json&message=${message}`);
    assert.deepEqual(connectGet.body, rest.body);
  });

  test("is found by every parameter, by either name of it", async () => {
    const cases: [query: string, messages: string[]][] = [
      ["device_id=host-1&text=link%20down", ["Link DOWN 100%"]],
      ["text=0%25", ["Link DOWN 100%"]],
      ["deviceId=host-1&minSeverity=ERROR", ["Link DOWN 100%"]],
      ["device_id=host-1&min_severity=severity_error", ["Link DOWN 100%"]],
      ["device_id=host-1&min_severity=17", ["Link DOWN 100%"]],
      ["device_id=host-1&end_time=2026-01-01T00:00:00.000002Z", ["up"]],
      ["device_id=host-1&end_time=2026-01-01T02:00:00.000002%2B02:00", ["up"]],
      ["device_id=host-1&end_time=2026-01-01T02:00:00.000002+02:00", ["up"]],
      ["start_time=2026-01-01T00:00:00.000000001Z&end_time=2026-01-01T00:00:00.000002Z", ["up"]],
      ["device_id=host-1&start_time=2026-01-01T00:00:00.000002Z", ["", "Link DOWN 100%"]],
      ["device_id=&min_severity=9&page_size=&text=", ["Link DOWN 100%", "up", ""]],
      ["device_id=unknown", []],
    ];
    for (const [query, messages] of cases) {
      const { body } = await get(`/v1/logs?${query}`);
      assert.deepEqual(
        body.logs?.map((log: { message: string }) => log.message),
        messages,
        query,
      );
    }
  });

  test("comes in pages whose tokens are safe in a URL", async () => {
    const seen: string[] = [];
    let token = "";
    do {
      const { body } = await get(`/v1/logs?page_size=1&page_token=${token}`);
      seen.push(...body.logs.map((log: { time: string }) => log.time));
      token = body.nextPageToken;
      assert.match(token, /^[A-Za-z0-9_-]*$/);
    } while (token !== "");
    assert.equal(seen.length, 4);
    const newestFirst = seen.toSorted((a, b) => Date.parse(b) - Date.parse(a));
    assert.deepEqual(seen.map(Date.parse), newestFirst.map(Date.parse));
  });
});

test("devices come by name, in pages, with their counts", async () => {
  const first = await get("/v1/devices?page_size=1");
  assert.deepEqual(first.body.devices, [
    {
      deviceId: "host-1",
      firstSeen: "2026-01-01T00:00:05.000001Z",
      lastSeen: "2026-01-01T00:00:05.000001Z",
      batchCount: "1",
      recordCount: "3",
      errorCount: "0",
      deadLetterCount: "0",
    },
  ]);
  const second = await get(`/v1/devices?page_size=1&page_token=${first.body.nextPageToken}`);
  assert.equal(second.body.devices[0].deviceId, "host-2");
  assert.equal(second.body.nextPageToken, "");
});

test("generated clients read it over Connect, by POST and GET, and over gRPC-Web, binary and JSON", async () => {
  const options = { baseUrl: gateway.url, httpVersion: "1.1" as const };
  for (const transport of [
    createConnectTransport(options),
    createConnectTransport({ ...options, useBinaryFormat: false }),
    createConnectTransport({ ...options, useHttpGet: true }),
    createConnectTransport({ ...options, useBinaryFormat: false, useHttpGet: true }),
    createGrpcWebTransport(options),
    createGrpcWebTransport({ ...options, useBinaryFormat: false }),
  ]) {
    const client = createClient(QueryService, transport);
    const { logs } = await client.listLogs({ deviceId: "host-1", minSeverity: Severity.ERROR });
    assert.deepEqual(
      logs.map((log) => [log.message, log.time?.nanos]),
      [["Link DOWN 100%", 2000]],
    );
    await assert.rejects(client.listLogs({ pageSize: -1 }), (error) => {
      assert.ok(error instanceof ConnectError);
      assert.equal(error.code, Code.InvalidArgument);
      assert.equal(error.findDetails(BadRequestSchema)[0]?.fieldViolations[0]?.field, "page_size");
      return true;
    });
  }
});

describe("a mistake in a field is INVALID_ARGUMENT and names the field, over REST and Connect JSON alike", () => {
  const mistakes: [field: string, value: string | number, said: RegExp][] = [
    ["page_size", -1, /^page_size: -1, wanted 0 to 1000$/],
    ["page_size", 1_000_000, /^page_size: 1000000, wanted 0 to 1000$/],
    ["page_size", "many", /^page_size: /],
    ["page_size", "99999999999", /^page_size: /],
    ["page_token", "garbage", /^page_token: "garbage", wanted a next_page_token/],
    ["page_token", "A".repeat(40), /^page_token: /],
    ["page_token", "%%%\u0000", /^page_token: /],
    ["device_id", "no spaces", /^device_id: "no spaces", wanted 1 to 128 characters of A-Z/],
    ["device_id", "x".repeat(129), /^device_id: .*wanted 1 to 128/],
    ["device_id", "nul\u0000", /^device_id: /],
    ["min_severity", 99, /^min_severity: "?99"?, wanted /],
    ["min_severity", "LOUD", /^min_severity: /],
    ["text", "x".repeat(257), /^text: 257 characters, wanted at most 256$/],
    ["text", "a\u0000b", /^text: .*NUL/],
    ["start_time", "yesterday", /^start_time: /],
    ["start_time", "2026-13-01T00:00:00Z", /^start_time: /],
    ["end_time", "300000-01-01T00:00:00Z", /^end_time: /],
    ["end_time", "0000-01-01T00:00:00Z", /^end_time: /],
  ];
  for (const [field, value, said] of mistakes) {
    test(`${field}=${JSON.stringify(value).slice(0, 40)}`, async () => {
      const answers = [
        await get(`/v1/logs?${new URLSearchParams({ [field]: String(value) })}`),
        await post(listLogsPath, { [field]: value }),
      ];
      for (const answer of answers) assertInvalid(answer, field, said);
    });
  }

  test("end before start", async () => {
    const range = { start_time: "2026-01-02T00:00:00Z", end_time: "2026-01-01T00:00:00Z" };
    const said = /^end_time: 2026-01-01T00:00:00.000000Z is before start_time 2026-01-02T00:00:00.000000Z/;
    assertInvalid(await get(`/v1/logs?${new URLSearchParams(range)}`), "end_time", said);
    assertInvalid(await post(listLogsPath, range), "end_time", said);
  });

  test("the page token of another query, also of another RPC", async () => {
    const said = /^page_token: belongs to another query/;
    const logs = (await get("/v1/logs?page_size=1")).body.nextPageToken;
    const devices = (await get("/v1/devices?page_size=1")).body.nextPageToken;
    assertInvalid(await get(`/v1/logs?device_id=host-1&page_token=${logs}`), "page_token", said);
    assertInvalid(await post(listLogsPath, { text: "x", pageToken: logs }), "page_token", said);
    assertInvalid(await get(`/v1/logs?page_token=${devices}`), "page_token", said);
    assertInvalid(await get(`/v1/devices?page_token=${logs}`), "page_token", said);
    assert.equal((await get(`/v1/logs?page_size=3&page_token=${logs}`)).status, 200);
  });

  test("a parameter that does not exist is named, with those that do", async () => {
    const said = /^device: there is no such field, known are device_id, min_severity, start_time/;
    assertInvalid(await get("/v1/logs?device=x"), "device", said);
    assertInvalid(await post(listLogsPath, { device: "x" }), "device", said);
  });

  test("a parameter given twice", async () => {
    assertInvalid(await get("/v1/logs?text=a&text=b"), "text", /given 2 times/);
    assertInvalid(await get("/v1/logs?page_size=1&pageSize=2"), "page_size", /given under two names/);
  });

  test("times and severities that only binary can hold", async () => {
    const client = createClient(
      QueryService,
      createConnectTransport({ baseUrl: gateway.url, httpVersion: "1.1" }),
    );
    const bad = [
      { startTime: { seconds: 2n ** 62n, nanos: 0 } },
      { endTime: { seconds: 0n, nanos: -1 } },
      { minSeverity: -5 as Severity },
    ];
    for (const request of bad) {
      await assert.rejects(client.listLogs(request), { code: Code.InvalidArgument });
    }
  });

  function assertInvalid({ status, body }: Answer, field: string, said: RegExp): void {
    assert.equal(status, 400, JSON.stringify(body));
    assert.equal(body.code, "invalid_argument");
    assert.match(body.message, said);
    assert.equal(body.details[0].type, "google.rpc.BadRequest");
    assert.equal(body.details[0].debug.fieldViolations[0].field, field);
  }
});

describe("a request that is no request", () => {
  test("truncated protobuf is INVALID_ARGUMENT over Connect and gRPC-Web", async () => {
    const bytes = toBinary(ListLogsRequestSchema, create(ListLogsRequestSchema, { text: "hello" })).subarray(
      0,
      -2,
    );
    const connect = await post(listLogsPath, bytes, { "content-type": "application/proto" });
    assert.equal(connect.status, 400);
    assert.equal(connect.body.code, "invalid_argument");
    assert.match(connect.body.message, /no fleetlog.v1.ListLogsRequest/);
    const binary = await get(
      `${listLogsPath}?encoding=proto&base64=1&message=${Buffer.from(bytes).toString("base64url")}`,
    );
    assert.equal(binary.body.code, "invalid_argument");
    const envelope = Buffer.concat([Buffer.from([0, 0, 0, 0, bytes.length]), bytes]);
    const response = await fetch(gateway.url + listLogsPath, {
      method: "POST",
      body: envelope,
      headers: { "content-type": "application/grpc-web+proto" },
    });
    assert.match(await response.text(), /grpc-status: 3/);
  });

  test("JSON that is none", async () => {
    for (const body of ["{", "[]", "null", ""]) {
      const answer = await post(listLogsPath, body);
      assert.deepEqual([answer.status, answer.body.code], [400, "invalid_argument"], body);
    }
  });

  test("too large is INVALID_ARGUMENT with the limit, and nothing is read beyond it", async () => {
    const answer = await post(listLogsPath, { text: "x".repeat(70_000) });
    assert.deepEqual([answer.status, answer.body.code], [400, "invalid_argument"]);
    assert.match(answer.body.message, /at most 65536 bytes/);
  });

  test("another content type is 415 and told what is wanted", async () => {
    const answer = await post(listLogsPath, "{}", { "content-type": "text/plain" });
    assert.equal(answer.status, 415);
    assert.match(answer.body.message, /content-type: "text\/plain", wanted application\/json/);
  });

  test("an unknown method is UNIMPLEMENTED, an unknown path not found, both with what there is", async () => {
    const method = await post("/fleetlog.v1.QueryService/Nothing", {});
    assert.deepEqual([method.status, method.body.code], [404, "unimplemented"]);
    const path = await get("/v1/nothing");
    assert.deepEqual([path.status, path.body.code], [404, "not_found"]);
    assert.match(path.body.message, /\/v1\/logs/);
  });

  test("another HTTP method is 405 with those that are allowed", async () => {
    const rest = await get("/v1/logs", { method: "DELETE" });
    assert.deepEqual([rest.status, rest.headers.get("allow")], [405, "GET"]);
    const rpc = await get(listLogsPath, { method: "PUT" });
    assert.deepEqual([rpc.status, rpc.headers.get("allow")], [405, "POST, GET"]);
  });

  test("a Host header that is no host is 400 and hurts nobody else", async () => {
    for (const lines of ["Host: %%%:x", "Host: [", "Host: a b"]) {
      const answer = await raw(`GET /v1/logs HTTP/1.1\r\n${lines}\r\nConnection: close\r\n\r\n`);
      assert.match(answer, /^HTTP\/1.1 400 /, lines);
    }
    assert.match(await raw("GET /v1/logs HTTP/1.0\r\n\r\n"), /^HTTP\/1.1 400 /);
    assert.equal((await get("/v1/logs")).status, 200);
  });

  async function raw(request: string): Promise<string> {
    const socket = connectSocket(gateway.port, "127.0.0.1");
    socket.write(request);
    return await readText(socket);
  }
});

test("answers are compressed for who asks", async () => {
  const response = await new Promise<import("node:http").IncomingMessage>((resolve, reject) => {
    const headers = { "accept-encoding": "gzip" };
    httpRequest(`${gateway.url}/v1/logs`, { headers }, resolve).on("error", reject).end();
  });
  response.resume();
  assert.equal(response.statusCode, 200);
  assert.equal(response.headers["content-encoding"], "gzip");
});

test("the first address tells the others", async () => {
  const { body } = await get("/");
  assert.ok(body.addresses.includes("/v1/logs"));
  assert.equal((await fetch(`${gateway.url}/livez`)).status, 200);
});

test("both faces count as the same RPC, refusals with their code", async () => {
  await get("/v1/devices?page_size=5");
  await get("/v1/devices?page_size=-5");
  await get("/v1/devices?nothing=1");
  const metrics = await (await fetch(`${gateway.url}/metrics`)).text();
  assert.match(metrics, /grpc_server_handled_total\{[^}]*grpc_method="ListDevices",grpc_code="OK"[^}]*\} \d/);
  assert.match(metrics, /grpc_method="ListDevices",grpc_code="InvalidArgument"[^}]*\} [2-9]/);
  assert.match(metrics, /fleetlog_query_seconds_count\{[^}]*query="list_devices"[^}]*\} \d/);
});
