import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { request as httpsRequest } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { Client, credentials, status } from "@grpc/grpc-js";
import { freePort } from "#dev/free-port.ts";
import { TestCa, writeCertificate } from "#test/support/certificates.ts";
import { type EchoUpstream, startEchoUpstream } from "#test/support/echo-upstream.ts";
import { startNginx } from "#test/support/nginx.ts";
import { exportHttp } from "#test/support/otlp-sender.ts";
import type { TlsSettings } from "./render.ts";

const ca = new TestCa();
const nowhere = { grpc: "127.0.0.1:1", http: "127.0.0.1:1" };
const exportPath = "/opentelemetry.proto.collector.logs.v1.LogsService/Export";

let folder: string;
let upstream: EchoUpstream;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), "fleetlog-otlp-"));
  upstream = await startEchoUpstream();
});
after(async () => {
  await upstream[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

test("with client certificates OTLP requires one, and reading /v1/logs does not", async () => {
  const devices = writeCertificate(join(folder, "devices"), ca.issue("server"));
  await using nginx = await startTls({ clientCaFile: join(folder, "devices-ca.crt") }, devices);
  assert.equal(await statusByTls(nginx.tls, "POST", "/v1/logs"), 401);
  assert.equal(await statusByTls(nginx.tls, "POST", exportPath), 401);
  assert.equal(await statusByTls(nginx.tls, "GET", "/v1/logs"), 200);
  const client = new Client(nginx.tls ?? "", credentials.createSsl(Buffer.from(ca.cert)));
  await assert.rejects(exportBytes(client), { code: status.UNAUTHENTICATED });
  client.close();
});

test("a port with TLS that serves ingest only serves OTLP, and does not list records", async () => {
  const server = writeCertificate(join(folder, "ingest"), ca.issue("server"));
  await using nginx = await startTls({ serves: "ingest" }, server);
  assert.equal(await statusByTls(nginx.tls, "POST", "/v1/logs"), 200);
  assert.equal(await statusByTls(nginx.tls, "GET", "/v1/logs"), 403);
  const client = new Client(nginx.tls ?? "", credentials.createSsl(Buffer.from(ca.cert)));
  assert.deepEqual(await exportBytes(client), Buffer.from("x"));
  client.close();
});

test("errors of Nginx are a google.rpc.Status in the encoding of the request, and name the delay", async () => {
  await using nginx = await startNginx({ servers: [nowhere], gateways: [upstream.http] });
  for (const content of [Buffer.from("x"), "{}"]) {
    const response = await exportHttp(`http://${nginx.http}`, content);
    assert.deepEqual(
      [response.status, response.error.code, response.retryAfter],
      [503, status.UNAVAILABLE, "1"],
    );
    assert.equal(response.error.message, "the upstream is unreachable");
    const type = typeof content === "string" ? "application/json" : "application/x-protobuf";
    assert.equal(response.contentType, type);
  }
});

test("a request over 16 MiB is a client error, one below reaches a server", async () => {
  await using nginx = await startNginx({ servers: [upstream], gateways: [nowhere.http] });
  const url = `http://${nginx.http}`;
  const refused = await exportHttp(url, Buffer.alloc((16 << 20) + 1));
  assert.deepEqual([refused.status, refused.error.code], [400, status.INVALID_ARGUMENT]);
  const { status: httpStatus } = await fetch(`${url}/v1/logs`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: "x".repeat(15 << 20),
  });
  assert.equal(httpStatus, 200);
});

async function startTls(tls: Partial<TlsSettings>, files: { certificateFile: string; keyFile: string }) {
  if (tls.clientCaFile) await writeFile(tls.clientCaFile, ca.cert);
  const listen = `127.0.0.1:${await freePort()}`;
  return startNginx({
    servers: [upstream],
    gateways: [upstream.http],
    tls: { listen, ...files, ...tls },
  });
}

function statusByTls(address = "", method: string, path: string): Promise<number | undefined> {
  const [host, port] = address.split(":");
  return new Promise((resolve, reject) => {
    const headers = { "content-type": "application/x-protobuf" };
    const request = httpsRequest({ host, port, method, path, headers, ca: ca.cert }, (response) => {
      response.resume();
      resolve(response.statusCode);
    });
    request.on("error", reject);
    request.end(method === "POST" ? "x" : undefined);
  });
}

function exportBytes(client: Client): Promise<Buffer | undefined> {
  return new Promise((resolve, reject) => {
    client.makeUnaryRequest(exportPath, bytes, bytes, Buffer.from("x"), (error, response) =>
      error ? reject(error) : resolve(response),
    );
  });
}

function bytes(value: Buffer): Buffer {
  return value;
}
