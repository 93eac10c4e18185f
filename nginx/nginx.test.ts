import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { connect as connectSocket } from "node:net";
import { text as readText } from "node:stream/consumers";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { fromBinary } from "@bufbuild/protobuf";
import { anyUnpack } from "@bufbuild/protobuf/wkt";
import { Client, credentials, Metadata, type ServiceError, status } from "@grpc/grpc-js";
import { BadRequestSchema } from "#proto/gen/google/rpc/error_details_pb.ts";
import { StatusSchema } from "#proto/gen/google/rpc/status_pb.ts";
import { Http2Calls } from "#test/fuzz/http-calls.ts";
import { type EchoUpstream, startEchoUpstream } from "#test/support/echo-upstream.ts";
import { startNginx, type TestNginx } from "#test/support/nginx.ts";
import { waitFor } from "#test/support/wait-for.ts";

const pushLogs = "/fleetlog.v1.IngestService/PushLogs";
const streamLogs = "/fleetlog.v1.IngestService/StreamLogs";
const nowhere = { grpc: "127.0.0.1:1", http: "127.0.0.1:1" };

describe("before two ingest servers and a gateway", () => {
  let first: EchoUpstream;
  let second: EchoUpstream;
  let nginx: TestNginx;
  let client: Client;

  before(async () => {
    [first, second] = await Promise.all([startEchoUpstream(), startEchoUpstream()]);
    nginx = await startNginx({ servers: [first, second], gateways: [first.http] });
    client = new Client(nginx.grpc, credentials.createInsecure());
  });
  after(async () => {
    client.close();
    for (const part of [nginx, first, second]) await part[Symbol.asyncDispose]();
  });

  test("a stream may exceed the size limit of a single request", async () => {
    const message = Buffer.alloc(256 * 1024, "x");
    const echoed = await stream(
      client,
      Array.from({ length: 40 }, () => message),
    );
    assert.equal(echoed, 40 * message.length);
  });

  test("a unary batch over 1 MiB reaches the server, which names the limit", async () => {
    const answer = await unary(client, pushLogs, Buffer.alloc(1_100_000));
    assert.equal(answer.length, 1_100_000);
    const json = await post(nginx, pushLogs, "application/json", Buffer.alloc(3_000_000, " "));
    assert.equal(json.status, 200);
  });

  test("a request far over the limit fails as a client error, never as retryable", async () => {
    const error = await failure(client, pushLogs, Buffer.alloc(5_000_000));
    assert.equal(error.code, status.INVALID_ARGUMENT);
    assert.match(error.details, /at most 1 MiB/);
    const json = await post(nginx, pushLogs, "application/json", Buffer.alloc(5_000_000, " "));
    assert.equal(json.status, 400);
    const { code, details } = (await json.json()) as {
      code: string;
      details: { type: string; value: string }[];
    };
    assert.deepEqual([code, details[0]?.type], ["invalid_argument", "google.rpc.BadRequest"]);
    const [any] = fromBinary(
      StatusSchema,
      error.metadata.get("grpc-status-details-bin")[0] as Buffer,
    ).details;
    for (const found of [
      anyUnpack(any!, BadRequestSchema),
      fromBinary(BadRequestSchema, Buffer.from(details[0]?.value ?? "", "base64")),
    ]) {
      const [violation] = found?.fieldViolations ?? [];
      assert.equal(violation?.field, "batch");
      assert.match(violation.description, /at most 1 MiB/);
    }
  });

  test("live tail events are forwarded immediately, not when more arrive", async () => {
    const tail = new AbortController();
    const { body } = await fetch(`http://${nginx.http}/v1/tail`, { signal: tail.signal });
    const { value } = (await body?.getReader().read()) ?? {};
    assert.equal(Buffer.from(value ?? []).toString(), "id: 1\n\n");
    tail.abort();
  });

  test("a malformed request is a client error, even when no address could be read", async (t) => {
    const calls = new Http2Calls(nginx.grpc);
    t.after(() => calls.close());
    const grpc = { "content-type": "application/grpc", te: "trailers" };
    for (const [path, headers] of [
      [pushLogs, { ":authority": "a b" }],
      ["no-address", {}],
      ["/%zz", {}],
      ["/../..", {}],
      [pushLogs, { ":method": "a b" }],
    ] as const) {
      const answer = await calls.send({ path, headers: { ...headers, ...grpc }, pieces: [], end: "end" });
      assert.equal(answer.status, 200, path);
      assert.equal(answer.headers["content-type"], "application/grpc");
      assert.equal(Number(answer.headers["grpc-status"]), status.INVALID_ARGUMENT);
    }
  });

  test("both servers are used", async () => {
    await Promise.all(Array.from({ length: 20 }, () => stream(client, [Buffer.from("x")])));
    for (const server of [first, second]) assert.ok(server.calls.includes(streamLogs));
  });

  test("health and reflection go to the servers; any other service is unimplemented", async () => {
    for (const path of [
      "/grpc.health.v1.Health/Check",
      "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
      "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
    ]) {
      await unary(client, path, Buffer.from("hello"));
      assert.ok([...first.calls, ...second.calls].includes(path), path);
    }
    const error = await failure(client, "/other.Service/Call", Buffer.from("hello"));
    assert.equal(error.code, status.UNIMPLEMENTED);
  });

  test("is live on its own, and ready when the gateway is", async () => {
    assert.equal((await fetch(`http://${nginx.http}/livez`)).status, 200);
    const ready = await fetch(`http://${nginx.http}/readyz`);
    assert.equal(ready.status, 503);
    assert.equal(await ready.text(), "postgres: starting\n");
  });

  test("errors of Nginx over HTTP are JSON with a code, a message and details", async () => {
    const long = "x".repeat(60_000);
    for (const [init, path, status] of [
      [{}, `/v1/logs?text=${long}`, 414],
      [{ headers: { long } }, "/v1/logs", 431],
      [{ method: "POST", body: Buffer.alloc(5_000_000, " ") }, "/v1/devices", 400],
    ] as const) {
      const answer = await fetch(`http://${nginx.http}${path}`, init);
      const error = (await answer.json()) as { code: string; message: string; details: unknown[] };
      assert.deepEqual([answer.status, error.code], [status, "invalid_argument"]);
      assert.ok(Array.isArray(error.details));
      assert.match(error.message, /at most/);
    }
    const [host = "", port = ""] = nginx.http.split(":");
    const socket = connectSocket(Number(port), host);
    socket.end("nothing\r\n\r\n");
    assert.match(await readText(socket), /^HTTP\/1.1 400 [^]*\{"code":"invalid_argument".*"details":\[\]\}/);
    assert.equal((await fetch(`http://${nginx.http}/problems/malformed`)).status, 404);
  });

  test("methods, paths and versions that Nginx refuses get JSON, not HTML", async () => {
    const [host = "", port = ""] = nginx.http.split(":");
    for (const [line, status] of [
      ["TRACE / HTTP/1.1", 405],
      ["GET /metrics HTTP/1.1", 404],
      ["GET /v1/logs HTTP/9.9", 505],
      ["PRI * HTTP/2.0", 400],
      ["POST /v1/logs HTTP/1.1\r\nTransfer-Encoding: x", 405],
      ["POST /v1/logs HTTP/1.1\r\nContent-Length: x", 400],
      [`POST ${pushLogs} HTTP/1.1\r\nContent-Type: application/grpc`, 505],
    ] as const) {
      const socket = connectSocket(Number(port), host);
      socket.end(`${line}\r\nHost: localhost\r\nConnection: close\r\n\r\n`);
      const answer = await readText(socket);
      assert.match(answer, new RegExp(`^HTTP/1.1 ${status} [^]*Content-Type: application/json`), line);
      assert.match(answer, /\{"code":"\w+","message":".*","details":\[\]\}$/, line);
    }
  });

  test("queries, REST and the dashboard go to the gateway", async () => {
    for (const path of ["/fleetlog.v1.QueryService/ListLogs", "/v1/logs?device_id=a", "/"]) {
      assert.equal((await fetch(`http://${nginx.http}${path}`)).status, 200);
      assert.ok(first.calls.includes(path), path);
    }
  });
});

test("a stopped server is skipped without an error", async () => {
  await using server = await startEchoUpstream();
  await using nginx = await startNginx({ servers: [nowhere, server], gateways: [server.http] });
  await withClient(nginx, async (client) => {
    for (let call = 0; call < 20; call += 1) {
      assert.equal((await unary(client, pushLogs, Buffer.from("x"))).length, 1);
      assert.equal((await post(nginx, pushLogs, "application/json", Buffer.from("{}"))).status, 200);
    }
  });
});

test("a stream that loses its server fails with a code that means: reconnect", async () => {
  await using server = await startEchoUpstream();
  const doomed = await startEchoUpstream();
  await using nginx = await startNginx({ servers: [doomed], gateways: [server.http] });
  await withClient(nginx, async (client) => {
    const call = client.makeBidiStreamRequest(streamLogs, identity, identity, new Metadata());
    const ended = new Promise<ServiceError>((resolve) => call.on("error", resolve));
    const echoed = new Promise((resolve) => call.once("data", resolve));
    call.write(Buffer.from("x"));
    await echoed;
    await doomed[Symbol.asyncDispose]();
    const { code } = await ended;
    // Nginx can only reset a stream that has begun, and grpc-js calls that INTERNAL.
    assert.ok([status.UNAVAILABLE, status.INTERNAL].includes(code), status[code]);
  });
});

describe("without any upstream", () => {
  let nginx: TestNginx;
  before(async () => {
    nginx = await startNginx({ servers: [nowhere], gateways: [nowhere.http] });
  });
  after(() => nginx[Symbol.asyncDispose]());

  test("gRPC gets UNAVAILABLE", async () => {
    await withClient(nginx, async (client) => {
      assert.equal((await failure(client, pushLogs, Buffer.from("x"))).code, status.UNAVAILABLE);
      await assert.rejects(stream(client, [Buffer.from("x")]), { code: status.UNAVAILABLE });
    });
  });

  test("Connect and REST get Connect's JSON", async () => {
    for (const response of [
      await post(nginx, pushLogs, "application/json", Buffer.from("{}")),
      await post(nginx, pushLogs, "application/proto", Buffer.from("")),
      await fetch(`http://${nginx.http}/v1/logs`),
    ]) {
      assert.equal(response.status, 503);
      assert.equal(response.headers.get("content-type"), "application/json");
      assert.equal(((await response.json()) as { code: string }).code, "unavailable");
    }
  });

  test("gRPC-Web gets a gRPC status", async () => {
    const response = await post(nginx, pushLogs, "application/grpc-web+proto", Buffer.from(""));
    assert.equal(response.status, 200);
    assert.equal(response.headers.get("grpc-status"), "14");
  });

  test("is still live", async () => {
    assert.equal((await fetch(`http://${nginx.http}/livez`)).status, 200);
  });
});

test("limits the open calls of one address, with a retry delay", async () => {
  await using server = await startEchoUpstream();
  await using nginx = await startNginx({
    servers: [server],
    gateways: [server.http],
    connectionsPerAddressMax: 2,
  });
  await withClient(nginx, async (client) => {
    const open = [1, 2].map(() =>
      client.makeBidiStreamRequest(streamLogs, identity, identity, new Metadata()),
    );
    for (const call of open) {
      call.on("error", () => {});
      call.write(Buffer.from("x"));
    }
    await waitFor("both streams at the server", () => server.calls.length === 2);
    assert.equal((await failure(client, pushLogs, Buffer.from("x"))).code, status.RESOURCE_EXHAUSTED);
    for (const call of open) call.cancel();
  });
});

test("a silent stream stays open for the configured time", { concurrency: true }, async (t) => {
  await using server = await startEchoUpstream();
  const upstreams = { servers: [server], gateways: [server.http] };

  await t.test("and not longer", async () => {
    await using nginx = await startNginx({ ...upstreams, streamIdleSeconds: 1 });
    await withClient(nginx, async (client) => {
      const call = client.makeBidiStreamRequest(streamLogs, identity, identity, new Metadata());
      const ended = new Promise((resolve) => call.on("error", resolve));
      call.write(Buffer.from("x"));
      call.resume();
      await ended;
    });
  });

  // This test must wait: Nginx's own limit is 60 s, and it applies in four places.
  await t.test("which is above 60 s unless configured", async () => {
    await using nginx = await startNginx(upstreams);
    await withClient(nginx, async (client) => {
      const call = client.makeBidiStreamRequest(streamLogs, identity, identity, new Metadata());
      const answers: Buffer[] = [];
      const failed = new Promise<never>((_, reject) => call.on("error", reject));
      call.on("data", (answer: Buffer) => answers.push(answer));
      call.write(Buffer.from("before"));
      await Promise.race([failed, waitFor("the first answer", () => answers.length === 1)]);
      await Promise.race([failed, sleep(63_000)]);
      call.write(Buffer.from("after"));
      await Promise.race([failed, waitFor("the second answer", () => answers.length === 2)]);
      failed.catch(() => {}); // the cancel that comes
      call.cancel();
    });
  });
});

test("the template never retries a request that an upstream may have received", () => {
  const template = readFileSync(new URL("nginx.conf.template", import.meta.url), "utf8");
  assert.doesNotMatch(template, /non_idempotent/);
});

const identity = (bytes: Buffer) => bytes;

async function withClient(nginx: TestNginx, use: (client: Client) => Promise<void>): Promise<void> {
  const client = new Client(nginx.grpc, credentials.createInsecure(), { "grpc.enable_retries": 0 });
  try {
    await use(client);
  } finally {
    client.close();
  }
}

function unary(client: Client, path: string, bytes: Buffer): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    client.makeUnaryRequest(path, identity, identity, bytes, (error, answer) =>
      error ? reject(error) : resolve(answer as Buffer),
    );
  });
}

async function failure(client: Client, path: string, bytes: Buffer): Promise<ServiceError> {
  return unary(client, path, bytes).then(
    () => assert.fail(`${path} succeeded`),
    (error: ServiceError) => error,
  );
}

/** Sends the messages, and resolves with the number of bytes that came back. */
function stream(client: Client, messages: readonly Buffer[]): Promise<number> {
  return new Promise((resolve, reject) => {
    const call = client.makeBidiStreamRequest(streamLogs, identity, identity, new Metadata());
    let bytes = 0;
    call.on("data", (answer: Buffer) => (bytes += answer.length));
    call.on("error", reject);
    call.on("end", () => resolve(bytes));
    for (const message of messages) call.write(message);
    call.end();
  });
}

function post(nginx: TestNginx, path: string, contentType: string, body: Buffer): Promise<Response> {
  return fetch(`http://${nginx.http}${path}`, {
    method: "POST",
    headers: { "content-type": contentType },
    body: new Uint8Array(body),
  });
}
