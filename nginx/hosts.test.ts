import assert from "node:assert/strict";
import { connect as connectHttp2 } from "node:http2";
import { connect as connectSocket } from "node:net";
import { text as readText } from "node:stream/consumers";
import { after, before, describe, test } from "node:test";
import { type EchoUpstream, startEchoUpstream } from "#test/support/echo-upstream.ts";
import { startNginx, type TestNginx } from "#test/support/nginx.ts";

const pushLogs = "/fleetlog.v1.IngestService/PushLogs";

let upstream: EchoUpstream;
let nginx: TestNginx;
before(async () => {
  upstream = await startEchoUpstream();
  nginx = await startNginx({
    servers: [upstream],
    gateways: [upstream.http],
    allowedHosts: ["logs.example.org", "*.fleet.example.org", "localhost", "Logs.Example.org"],
  });
});
after(async () => {
  await nginx[Symbol.asyncDispose]();
  await upstream[Symbol.asyncDispose]();
});

describe("Nginx over HTTP/1.1", () => {
  for (const host of [
    "localhost",
    "LocalHost.:8080",
    "127.0.0.1",
    "10.0.0.9:1",
    "[::1]:8080",
    "logs.example.org",
    "a.fleet.example.org:80",
  ]) {
    test(`serves ${host}`, async () => {
      for (const path of ["/livez", "/v1/logs", "/fleetlog.v1.QueryService/ListLogs"])
        assert.match(await get(path, `Host: ${host}`), /^HTTP\/1.1 200 /, path);
    });
  }

  for (const host of [
    "evil.example",
    "logs.example.org.evil.example",
    "127.1",
    "localhost.evil.example",
    "x",
  ]) {
    test(`refuses ${host}`, async () => {
      for (const path of ["/livez", "/", "/v1/logs", "/metrics", pushLogs]) {
        const answer = await get(path, `Host: ${host}`);
        assert.match(
          answer,
          /^HTTP\/1.1 421 [^]*application\/json[^]*"permission_denied".*ALLOWED_HOSTS/,
          path,
        );
      }
    });
  }

  test("refuses a request without a host, or with an invalid one", async () => {
    const without = await raw("GET /v1/logs HTTP/1.0\r\n\r\n");
    assert.match(without, /^HTTP\/1.1 421 [^]*"permission_denied"/);
    for (const lines of ["Host: [", "Host: a b", "Host: a/b", "Host:"])
      assert.match(await get("/v1/logs", lines), /^HTTP\/1.1 4(00|21) [^]*application\/json/, lines);
    const two = await get("/v1/logs", "Host: evil.example\r\nHost: localhost");
    assert.match(two, /^HTTP\/1.1 4(00|21) [^]*application\/json/);
  });

  test("uses the address of the request line when it has a host", async () => {
    assert.match(await get("http://evil.example/v1/logs", "Host: localhost"), /^HTTP\/1.1 421 /);
  });
});

describe("Nginx over HTTP/2", () => {
  test("refuses another :authority in the format of the protocol", async () => {
    for (const [type, status, grpcStatus] of [
      ["application/grpc", 200, "7"],
      ["application/grpc-web+proto", 200, "7"],
      ["application/connect+json", 421, undefined],
      ["application/json", 421, undefined],
    ] as const) {
      const head = await post(type, "evil.example");
      assert.deepEqual([head[":status"], head["grpc-status"]], [status, grpcStatus], type);
      assert.equal((await post(type, "Logs.Example.org:50051"))[":status"], 200, type);
    }
  });
});

function get(path: string, lines: string): Promise<string> {
  return raw(`GET ${path} HTTP/1.1\r\n${lines}\r\nConnection: close\r\n\r\n`);
}

async function raw(request: string): Promise<string> {
  const [host = "", port = ""] = nginx.http.split(":");
  const socket = connectSocket(Number(port), host);
  socket.write(request);
  return await readText(socket);
}

function post(type: string, authority: string): Promise<Readonly<Record<string, unknown>>> {
  const session = connectHttp2(`http://${nginx.grpc}`);
  return new Promise<Readonly<Record<string, unknown>>>((resolve, reject) => {
    session.on("error", reject);
    const call = session.request({
      ":method": "POST",
      ":path": pushLogs,
      ":authority": authority,
      "content-type": type,
    });
    call.on("response", resolve);
    call.on("error", reject);
    call.end("x");
  }).finally(() => session.destroy());
}
