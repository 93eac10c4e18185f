import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect as connectHttp2 } from "node:http2";
import { request } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import {
  type ConnectionOptions,
  connect as connectTls,
  type PeerCertificate,
  type TLSSocket,
} from "node:tls";
import { Client, credentials, Metadata, type ServiceError, status } from "@grpc/grpc-js";
import { freePort } from "#dev/free-port.ts";
import { type Certificate, TestCa, writeCertificate } from "#test/support/certificates.ts";
import { type EchoUpstream, startEchoUpstream } from "#test/support/echo-upstream.ts";
import { startNginx, type TestNginx } from "#test/support/nginx.ts";
import { waitFor } from "#test/support/wait-for.ts";
import type { TlsSettings } from "./render.ts";

const pushLogs = "/fleetlog.v1.IngestService/PushLogs";
const streamLogs = "/fleetlog.v1.IngestService/StreamLogs";
const json = { "content-type": "application/json" };

const folder = mkdtempSync(join(tmpdir(), "fleetlog-tls-"));
let ca: TestCa;
let good: Certificate;
let expired: Certificate;
let wrong: Certificate;
let upstream: EchoUpstream;
before(async () => {
  ca = new TestCa();
  good = ca.issue("device-1");
  expired = ca.issue("device-2", { days: -1 });
  wrong = new TestCa("Another CA").issue("device-1");
  writeFileSync(join(folder, "ca.crt"), ca.cert);
  upstream = await startEchoUpstream();
});
after(async () => {
  await upstream[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true });
});

describe("with TLS", () => {
  let nginx: TestNginx;
  before(async () => {
    nginx = await start("server", {});
  });
  after(() => nginx[Symbol.asyncDispose]());

  test("gRPC calls and streams reach a server, including oversized batches, which it rejects itself", async () => {
    await withClient(nginx, undefined, async (client) => {
      assert.equal((await unary(client, pushLogs, Buffer.alloc(3_000_000))).length, 3_000_000);
      assert.equal((await unary(client, "/grpc.health.v1.Health/Check", Buffer.from("x"))).length, 1);
      assert.equal(await stream(client, Array(20).fill(Buffer.alloc(256 * 1024))), 20 * 256 * 1024);
      await assert.rejects(unary(client, pushLogs, Buffer.alloc(5_000_000)), {
        code: status.INVALID_ARGUMENT,
      });
      await assert.rejects(unary(client, "/other.Service/Call", Buffer.from("x")));
    });
  });

  test("Connect and the dashboard speak HTTP/2 or HTTP/1.1, as the client's hello selects", async () => {
    for (const [path, body] of [
      [pushLogs, "{}"],
      ["/", undefined],
    ] as const) {
      assert.equal((await viaHttp1(nginx, path, { body })).status, 200);
      assert.equal((await viaHttp2(nginx, path, { body })).status, 200);
    }
    assert.ok(upstream.calls.includes("/"));
  });

  test("gRPC-Web over HTTP/2 is not mistaken for gRPC", async () => {
    const answer = await viaHttp2(nginx, pushLogs, {
      body: "x",
      headers: { "content-type": "application/grpc-web+proto" },
    });
    assert.deepEqual([answer.status, answer.body], [200, "x"]);
  });

  test("the plaintext listeners keep working", async () => {
    assert.equal((await fetch(`http://${nginx.http}/`)).status, 200);
    const client = new Client(nginx.grpc, credentials.createInsecure());
    assert.equal((await unary(client, pushLogs, Buffer.from("x"))).length, 1);
    client.close();
  });

  test("TLS 1.1 is refused, 1.3 is preferred, and 1.2 has forward secrecy", async () => {
    await assert.rejects(handshake(nginx, { minVersion: "TLSv1", maxVersion: "TLSv1.1" }));
    assert.equal((await handshake(nginx)).protocol, "TLSv1.3");
    const { cipher } = await handshake(nginx, { maxVersion: "TLSv1.2" });
    assert.match(cipher, /^ECDHE-.*(GCM|POLY1305)/);
    await assert.rejects(
      handshake(nginx, { maxVersion: "TLSv1.2", ciphers: "AES128-SHA:ECDHE-RSA-AES128-SHA" }),
    );
  });

  test("a returning device resumes its TLS session", async () => {
    const first = await handshake(nginx, { maxVersion: "TLSv1.2" });
    const second = await handshake(nginx, { maxVersion: "TLSv1.2", session: first.session });
    assert.deepEqual([first.isReused, second.isReused], [false, true]);
  });

  test("a renewed certificate is used after a reload", async () => {
    const renewed = ca.issue("renewed");
    assert.equal((await handshake(nginx)).certificate.subject.CN, "server");
    writeCertificate(join(folder, "server"), renewed);
    process.kill(nginx.pid, "SIGHUP");
    await waitFor("the renewed certificate", async () => {
      return (await handshake(nginx)).certificate.subject.CN === "renewed";
    });
  });
});

for (const certificatesFor of ["ingest", "everything"] as const) {
  describe(`with client certificates for ${certificatesFor}`, () => {
    let nginx: TestNginx;
    before(async () => {
      nginx = await start(`for-${certificatesFor}`, {
        clientCaFile: join(folder, "ca.crt"),
        certificatesFor,
      });
    });
    after(() => nginx[Symbol.asyncDispose]());

    test("a valid certificate is accepted", async () => {
      await withClient(nginx, good, async (client) => {
        assert.equal((await unary(client, pushLogs, Buffer.from("x"))).length, 1);
        assert.equal(await stream(client, [Buffer.from("x")]), 1);
      });
      for (const via of [viaHttp1, viaHttp2]) {
        assert.equal((await via(nginx, pushLogs, { body: "{}", client: good })).status, 200);
        assert.equal((await via(nginx, "/", { client: good })).status, 200);
      }
    });

    test("a missing, an expired and another CA's certificate are refused as unauthenticated, in the client's protocol", async () => {
      for (const client of [undefined, expired, wrong]) {
        await withClient(nginx, client, async (channel) => {
          await assert.rejects(unary(channel, pushLogs, Buffer.from("x")), { code: status.UNAUTHENTICATED });
          await assert.rejects(stream(channel, [Buffer.from("x")]), { code: status.UNAUTHENTICATED });
        });
        for (const via of [viaHttp1, viaHttp2]) {
          const answer = await via(nginx, pushLogs, { body: "{}", client });
          assert.deepEqual([answer.status, answer.headers["content-type"]], [401, "application/json"]);
          assert.equal((JSON.parse(answer.body) as { code: string }).code, "unauthenticated");
        }
        const web = await viaHttp1(nginx, pushLogs, {
          body: "x",
          headers: { "content-type": "application/grpc-web+proto" },
          client,
        });
        assert.deepEqual(
          [web.status, web.headers["grpc-status"], web.headers["content-type"]],
          [200, "16", "application/grpc-web+proto"],
        );
      }
    });

    test(`the page ${certificatesFor === "ingest" ? "opens without one" : "needs one, too"}`, async () => {
      const { status } = await viaHttp1(nginx, "/", {});
      assert.equal(status, certificatesFor === "ingest" ? 200 : 401);
      for (const client of [expired, wrong])
        assert.equal((await viaHttp2(nginx, "/", { client })).status, 401);
    });

    test("plaintext, which only this machine reaches, needs none", async () => {
      const response = await fetch(`http://${nginx.http}${pushLogs}`, {
        method: "POST",
        headers: json,
        body: "{}",
      });
      assert.equal(response.status, 200);
    });
  });
}

async function start(name: string, tls: Partial<TlsSettings>): Promise<TestNginx> {
  const files = writeCertificate(join(folder, name), ca.issue("server"));
  return startNginx({
    servers: [upstream],
    gateways: [upstream.http],
    tls: { listen: `127.0.0.1:${await freePort()}`, ...files, ...tls },
  });
}

const identity = (bytes: Buffer) => bytes;

async function withClient(
  nginx: TestNginx,
  client: Certificate | undefined,
  use: (client: Client) => Promise<void>,
): Promise<void> {
  const own = client && [Buffer.from(client.key), Buffer.from(client.cert)];
  const channel = new Client(nginx.tls ?? "", credentials.createSsl(Buffer.from(ca.cert), ...(own ?? [])), {
    "grpc.enable_retries": 0,
  });
  try {
    await use(channel);
  } finally {
    channel.close();
  }
}

function unary(client: Client, path: string, bytes: Buffer): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    client.makeUnaryRequest(path, identity, identity, bytes, (error: ServiceError | null, answer) =>
      error ? reject(error) : resolve(answer as Buffer),
    );
  });
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

interface Call {
  /** None: GET. */
  readonly body?: string | undefined;
  readonly headers?: Readonly<Record<string, string>>;
  readonly client?: Certificate | undefined;
}

interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly body: string;
}

function viaHttp1(nginx: TestNginx, path: string, { body, headers = json, client }: Call): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const method = body === undefined ? "GET" : "POST";
    const options = { ca: ca.cert, ...client, method, headers, agent: false, ALPNProtocols: ["http/1.1"] };
    const call = request(`https://${nginx.tls}${path}`, options, (response) => {
      const parts: Buffer[] = [];
      response.on("data", (part: Buffer) => parts.push(part));
      response.on("end", () =>
        resolve({
          status: response.statusCode ?? 0,
          headers: response.headers,
          body: Buffer.concat(parts).toString(),
        }),
      );
    });
    call.on("error", reject);
    call.end(body);
  });
}

function viaHttp2(nginx: TestNginx, path: string, { body, headers = json, client }: Call): Promise<Answer> {
  const session = connectHttp2(`https://${nginx.tls}`, { ca: ca.cert, ...client });
  return new Promise<Answer>((resolve, reject) => {
    session.on("error", reject);
    const call = session.request({
      ":method": body === undefined ? "GET" : "POST",
      ":path": path,
      ...headers,
    });
    const parts: Buffer[] = [];
    let head: Readonly<Record<string, unknown>> = {};
    call.on("response", (received) => (head = received));
    call.on("data", (part: Buffer) => parts.push(part));
    call.on("error", reject);
    call.on("end", () =>
      resolve({ status: Number(head[":status"]), headers: head, body: Buffer.concat(parts).toString() }),
    );
    call.end(body);
  }).finally(() => session.destroy());
}

interface Handshake {
  readonly protocol: string | null;
  readonly cipher: string;
  readonly certificate: PeerCertificate;
  readonly session: Buffer | undefined;
  readonly isReused: boolean;
}

function handshake(nginx: TestNginx, options: ConnectionOptions = {}): Promise<Handshake> {
  const [host, port] = (nginx.tls ?? "").split(":");
  return new Promise((resolve, reject) => {
    const socket: TLSSocket = connectTls({ host: host!, port: Number(port), ca: ca.cert, ...options }, () => {
      resolve({
        protocol: socket.getProtocol(),
        cipher: socket.getCipher().name,
        certificate: socket.getPeerCertificate(),
        session: socket.getSession(),
        isReused: socket.isSessionReused(),
      });
      socket.destroy();
    });
    socket.on("error", reject);
  });
}
