import assert from "node:assert/strict";
import { connect as connectHttp2 } from "node:http2";
import { connect as connectTcp } from "node:net";
import { after, test } from "node:test";
import { create, toBinary } from "@bufbuild/protobuf";
import { type CallOptions, Code, ConnectError, createClient } from "@connectrpc/connect";
import {
  createConnectTransport,
  createGrpcTransport,
  createGrpcWebTransport,
} from "@connectrpc/connect-node";
import { digest } from "#batch/digest.ts";
import { scan } from "#batch/scan.ts";
import { IngestService } from "#proto/gen/fleetlog/v1/ingest_pb.ts";
import { LogBatchSchema } from "#proto/gen/fleetlog/v1/log_pb.ts";
import { BadRequestSchema } from "#proto/gen/google/rpc/error_details_pb.ts";
import { makeBatch } from "../testing/batches.ts";
import { startServerAndRedis } from "../testing/server-program.ts";

const { server, entries } = await startServerAndRedis({ after });
const http = `http://${server.http}`;

const transports = {
  gRPC: createGrpcTransport({ baseUrl: `http://${server.grpc}` }),
  "Connect over HTTP/1.1": createConnectTransport({
    baseUrl: http,
    httpVersion: "1.1",
    useBinaryFormat: true,
  }),
  "Connect over HTTP/2": createConnectTransport({ baseUrl: http, httpVersion: "2", useBinaryFormat: true }),
  "Connect JSON over HTTP/1.1": createConnectTransport({
    baseUrl: http,
    httpVersion: "1.1",
    useBinaryFormat: false,
  }),
  "Connect JSON over HTTP/2": createConnectTransport({
    baseUrl: http,
    httpVersion: "2",
    useBinaryFormat: false,
  }),
  "gRPC-Web over HTTP/1.1": createGrpcWebTransport({ baseUrl: http, httpVersion: "1.1" }),
  "gRPC-Web over HTTP/2": createGrpcWebTransport({ baseUrl: http, httpVersion: "2" }),
};

for (const [name, transport] of Object.entries(transports)) {
  const client = createClient(IngestService, transport);
  const sessionId = name.replaceAll(/[^A-Za-z0-9]/g, "-");

  test(`${name}: a batch is taken, with the bytes and the digest it has on every way`, async () => {
    const batch = create(LogBatchSchema, makeBatch(1, { sessionId }));
    const { ack } = await client.pushLogs({ batch });
    assert.equal(ack?.accepted, 1);
    assert.equal(ack.sequence, 1n);
    const [entry] = await entries(sessionId);
    const bytes = toBinary(LogBatchSchema, batch);
    assert.deepEqual(Buffer.from(entry?.batch ?? []), Buffer.from(bytes));
    assert.deepEqual(entry?.digest, digest(scan(bytes)));
  });

  test(`${name}: a bad batch is refused with google.rpc.BadRequest`, async () => {
    const error = await client.pushLogs({ batch: makeBatch(1, { deviceId: "a b" }) }).then(
      () => assert.fail("it was taken"),
      (error: unknown) => ConnectError.from(error),
    );
    assert.equal(error.code, Code.InvalidArgument);
    const [detail] = error.findDetails(BadRequestSchema);
    assert.equal(detail?.fieldViolations[0]?.field, "batch.device_id");
  });

  if (name.endsWith("1.1")) continue; // streams both ways need HTTP/2

  test(`${name}: a stream is answered in order and stays open after a bad batch`, async () => {
    async function* batches() {
      for (let n = 1; n <= 200; n++) {
        const deviceId = n % 50 === 0 ? "a b" : "device-1";
        yield { batch: makeBatch(n, { sessionId: `${sessionId}-stream`, deviceId }) };
      }
    }
    let n = 0;
    for await (const { ack } of client.streamLogs(batches(), deadline)) {
      n += 1;
      if (n % 50 === 0) assert.equal(ack?.error?.field, "batch.device_id");
      else assert.equal(ack?.sequence, BigInt(n));
    }
    assert.equal(n, 200);
    assert.equal((await entries(`${sessionId}-stream`)).length, 196);
  });
}

const deadline: CallOptions = { timeoutMs: 20_000 };

test("bytes that are no message are the sender's mistake on gRPC-Web too", async () => {
  const frame = Buffer.concat([Buffer.from([0, 0, 0, 0, 3]), Buffer.from("xyz")]);
  for (const method of ["PushLogs"]) {
    const response = await fetch(`${http}/fleetlog.v1.IngestService/${method}`, {
      method: "POST",
      headers: { "content-type": "application/grpc-web+proto" },
      body: frame,
    });
    const trailers = await response.text();
    assert.match(trailers, /grpc-status: 3\r\n/);
    assert.match(trailers, /grpc-message: request%20is%20not/);
    assert.match(trailers, /grpc-status-details-bin: /);
  }
});

test("bytes that are no message end a Connect stream as the sender's mistake", async () => {
  const session = connectHttp2(http);
  try {
    const call = session.request({
      ":method": "POST",
      ":path": "/fleetlog.v1.IngestService/StreamLogs",
      "content-type": "application/connect+proto",
    });
    call.end(Buffer.concat([Buffer.from([0, 0, 0, 0, 3]), Buffer.from("xyz")]));
    const chunks: Buffer[] = [];
    for await (const chunk of call) chunks.push(chunk as Buffer);
    assert.match(Buffer.concat(chunks).toString(), /"code":"invalid_argument"/);
  } finally {
    session.close();
  }
});

test("an authority that is no host is refused, and the server keeps running", async () => {
  const answer = await new Promise<string>((resolve, reject) => {
    const socket = connectTcp(Number(server.http.split(":")[1]), "127.0.0.1");
    let text = "";
    socket.on("data", (chunk: Buffer) => (text += chunk.toString()));
    socket.on("end", () => resolve(text));
    socket.on("error", reject);
    socket.write("POST /fleetlog.v1.IngestService/PushLogs HTTP/1.1\r\nhost: a b:c[\r\n");
    socket.write("content-type: application/json\r\nconnection: close\r\ncontent-length: 2\r\n\r\n{}");
  });
  assert.match(answer, /^HTTP\/1.1 421 /);
  assert.equal((await server.readyz()).status, 200);
});

test("calls are counted by method and code on both transports", async () => {
  const method = 'grpc_type="unary",grpc_service="fleetlog.v1.IngestService",grpc_method="PushLogs"';
  for (const code of ["OK", "InvalidArgument"]) {
    const count = await server.metric(`grpc_server_handled_total{${method},grpc_code="${code}"`);
    assert(count >= 7, `${count} calls ended with ${code}`);
  }
});
