import assert from "node:assert/strict";
import { connect as connectSocket } from "node:net";
import { text as readText } from "node:stream/consumers";
import { after, before, test } from "node:test";
import { create, toBinary } from "@bufbuild/protobuf";
import { ListLogsRequestSchema } from "#proto/gen/fleetlog/v1/query_pb.ts";
import { listLogsPath, startWithTwoHosts } from "../testing/two-hosts.ts";

let gateway: Awaited<ReturnType<typeof startWithTwoHosts>>;
before(async () => {
  gateway = await startWithTwoHosts();
});
after(() => gateway[Symbol.asyncDispose]());

test("truncated protobuf is INVALID_ARGUMENT over Connect and gRPC-Web", async () => {
  const bytes = toBinary(
    ListLogsRequestSchema,
    create(ListLogsRequestSchema, { filter: { text: "hello" } }),
  ).subarray(0, -2);
  const connect = await gateway.post(listLogsPath, bytes, "application/proto");
  assert.equal(connect.status, 400);
  assert.equal(connect.body.code, "invalid_argument");
  assert.match(connect.body.message, /not a fleetlog.v1.ListLogsRequest/);
  const binary = await gateway.get(
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

test("a GET whose message is not what its parameters say is INVALID_ARGUMENT", async () => {
  for (const query of [
    "encoding=json&base64=1&message=%7B%7D",
    "encoding=proto&base64=1&message=%25",
    "encoding=proto&message=%7B",
    "encoding=proto&compression=identity&message=%7B",
    "encoding=json&compression=gzip&message=%7B%7D",
    "encoding=json&compression=br&message=%7B%7D",
  ]) {
    const answer = await gateway.get(`${listLogsPath}?${query}`);
    assert.deepEqual([answer.status, answer.body.code], [400, "invalid_argument"], query);
  }
});

test("a range that ends with the first time there is holds nothing", async () => {
  for (const path of ["/v1/logs", "/v1/histogram", "/v1/statistics"]) {
    const answer = await gateway.get(`${path}?end_time=0001-01-01T00:00:00Z`);
    assert.equal(answer.status, 200, path);
  }
});

test("JSON that is none", async () => {
  for (const body of ["{", "[]", "null", ""]) {
    const answer = await gateway.post(listLogsPath, body);
    assert.deepEqual([answer.status, answer.body.code], [400, "invalid_argument"], body);
  }
});

test("too large is INVALID_ARGUMENT with the limit", async () => {
  for (const size of [70_000, 20_000_000]) {
    const answer = await gateway.post(listLogsPath, { filter: { text: "x".repeat(size) } });
    assert.deepEqual([answer.status, answer.body.code], [400, "invalid_argument"]);
    assert.match(answer.body.message, /at most 65536 bytes/);
  }
});

test("another content type is 415 and the error names the expected ones", async () => {
  const answer = await gateway.post(listLogsPath, "{}", "text/plain");
  assert.equal(answer.status, 415);
  assert.match(answer.body.message, /content-type: "text\/plain", expected application\/json/);
});

test("an unknown method is UNIMPLEMENTED, an unknown path not found, both with what there is", async () => {
  const method = await gateway.post("/fleetlog.v1.QueryService/Nothing", {});
  assert.deepEqual([method.status, method.body.code], [404, "unimplemented"]);
  const path = await gateway.get("/v1/nothing");
  assert.deepEqual([path.status, path.body.code], [404, "not_found"]);
  assert.match(path.body.message, /\/v1\/logs/);
});

test("another HTTP method is 405 with those that are allowed", async () => {
  const rest = await gateway.get("/v1/logs", { method: "DELETE" });
  assert.deepEqual([rest.status, rest.headers.get("allow")], [405, "GET, HEAD"]);
  const rpc = await gateway.get(listLogsPath, { method: "PUT" });
  assert.deepEqual([rpc.status, rpc.headers.get("allow")], [405, "POST, GET, HEAD"]);
});

test("a Host header that is no host is refused and disturbs no other call", async () => {
  for (const lines of ["Host: %%%:x", "Host: [", "Host: a b"]) {
    const answer = await raw(`GET /v1/logs HTTP/1.1\r\n${lines}\r\nConnection: close\r\n\r\n`);
    assert.match(answer, /^HTTP\/1.1 (400|421) /, lines);
  }
  assert.match(await raw("GET /v1/logs HTTP/1.0\r\n\r\n"), /^HTTP\/1.1 421 /);
  assert.equal((await gateway.get("/v1/logs")).status, 200);
});

test("a name that is not allowed is 421 on every path, and names the setting", async () => {
  for (const path of ["/", "/v1/logs", "/metrics", "/livez", "/openapi.json", listLogsPath]) {
    const answer = await raw(`GET ${path} HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n`);
    assert.match(answer, /^HTTP\/1.1 421 [^]*"permission_denied".*evil\.example.*ALLOWED_HOSTS/, path);
  }
});

test("every error is JSON with a code, a message and details, also where there was no request yet", async () => {
  const long = "x".repeat(40_000);
  for (const [request, status, code] of [
    ["GET /v1/nothing HTTP/1.1\r\nHost: localhost", 404, "not_found"],
    ["GET /v1/devices/unknown HTTP/1.1\r\nHost: localhost", 404, "not_found"],
    ["DELETE /v1/export HTTP/1.1\r\nHost: localhost", 405, "unimplemented"],
    [`GET /v1/logs?text=${long} HTTP/1.1\r\nHost: localhost`, 414, "invalid_argument"],
    [`GET /v1/logs HTTP/1.1\r\nHost: localhost\r\nx: ${long}${long}`, 431, "invalid_argument"],
    ["GET /v1/logs HTTP/9.9\r\nHost: localhost", 400, "invalid_argument"],
    ["\x16\x03\x01", 400, "invalid_argument"],
    ["GET /v1/logs HTTP/1.1\r\nHost: [", 421, "permission_denied"],
  ] as const) {
    const answer = await raw(`${request}\r\nConnection: close\r\n\r\n`);
    const [head = "", body = ""] = answer.split("\r\n\r\n");
    assert.ok(head.startsWith(`HTTP/1.1 ${status} `), `${request.slice(0, 60)}: ${head.slice(0, 40)}`);
    assert.match(head, /content-type: application\/json/i);
    const error = JSON.parse(body.replace(/^[0-9a-f]+\r\n/i, "").replace(/\r\n0$/, "")) as Record<
      string,
      unknown
    >;
    assert.equal(error.code, code);
    assert.ok(typeof error.message === "string" && error.message !== "" && Array.isArray(error.details));
  }
});

async function raw(request: string): Promise<string> {
  const socket = connectSocket(gateway.port, "127.0.0.1");
  socket.write(request);
  return await readText(socket);
}
