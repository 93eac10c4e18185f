import assert from "node:assert/strict";
import { once } from "node:events";
import { request as http1Request } from "node:http";
import { connect } from "node:http2";
import { after, describe, test } from "node:test";
import { status } from "@grpc/grpc-js";
import { waitFor } from "#test/support/wait-for.ts";
import { encodeRequest, makeBatch } from "./testing/batches.ts";
import { connectGrpc, openStream } from "./testing/grpc-device.ts";
import { startServerAndRedis } from "./testing/server-program.ts";

const { server } = await startServerAndRedis({ after }, { BODY_SECONDS_MAX: "1" });
const grpcJs = await startServerAndRedis({ after }, { BODY_SECONDS_MAX: "1", GRPC_FAST_PATH: "off" });

interface SlowCall {
  readonly path: string;
  readonly contentType: string;
  readonly announced?: number;
}

const ingest = "/fleetlog.v1.IngestService";
const posts = [
  { path: "/v1/ingest/d", contentType: "application/x-ndjson" },
  { path: "/v1/logs", contentType: "application/x-protobuf" },
  { path: "/v1/logs", contentType: "application/json" },
  { path: `${ingest}/PushLogs`, contentType: "application/json" },
  { path: `${ingest}/PushLogs`, contentType: "application/proto" },
  { path: `${ingest}/GetSession`, contentType: "application/proto" },
];

const concurrency = true;

describe("a body that does not arrive is answered with 503 after BODY_SECONDS_MAX, and the sender may repeat it", {
  concurrency,
}, () => {
  for (const call of posts) {
    for (const [version, send] of [
      ["HTTP/1.1", sendByHttp1],
      ["HTTP/2", sendByHttp2],
    ] as const) {
      test(`${call.path}, ${call.contentType}, ${version}`, async () => {
        const answer = await send(server.http, call);
        assert.equal(answer.status, 503);
        assert.match(answer.body, /did not arrive within 1 s/);
      });
    }
  }
});

test("a refused request whose announced rest does not arrive gets its answer", async () => {
  const call = { path: "/v1/logs", contentType: "application/json", announced: 20 << 20 };
  assert.equal((await sendByHttp1(server.http, call)).status, 413);
});

describe("a gRPC message that does not arrive ends its call after BODY_SECONDS_MAX, without a grpc-timeout", {
  concurrency,
}, () => {
  const otlp = "/opentelemetry.proto.collector.logs.v1.LogsService/Export";
  for (const [path, { grpc }, expected] of [
    [`${ingest}/PushLogs`, server, status.UNAVAILABLE],
    [otlp, server, status.UNAVAILABLE],
    [`${ingest}/GetSession`, server, status.DEADLINE_EXCEEDED],
    [`${ingest}/PushLogs`, grpcJs.server, status.DEADLINE_EXCEEDED],
    ["/grpc.health.v1.Health/Check", server, status.DEADLINE_EXCEEDED],
  ] as const) {
    test(`${path}, ${status[expected]}`, async () => {
      const answer = await sendByHttp2(grpc, { path, contentType: "application/grpc" });
      assert.equal(answer.grpcStatus, String(expected));
    });
  }
});

test("slow messages that fill the memory of all requests give it back", async (t) => {
  const { server } = await startServerAndRedis(t, { BODY_SECONDS_MAX: "5", IN_FLIGHT_MEBIBYTES_MAX: "8" });
  const session = connect(`http://${server.grpc}`);
  t.after(() => session.destroy());
  const path = "/opentelemetry.proto.collector.logs.v1.LogsService/Export";
  const slow = session.request({ ":method": "POST", ":path": path, "content-type": "application/grpc" });
  const announced = Buffer.alloc(5);
  announced.writeUInt32BE(15 << 20, 1);
  slow.write(Buffer.concat([announced, Buffer.alloc(14 << 20)]));
  const honest = async () => {
    const body = '{"msg":"in between"}';
    const headers = { "content-type": "application/json" };
    return (await fetch(`http://${server.http}/v1/ingest/d`, { method: "POST", body, headers })).status;
  };
  await waitFor("a refusal", async () => (await honest()) === 429);
  await once(slow, "response");
  await waitFor("an answer", async () => (await honest()) === 200);
});

test("a stream may be silent for longer", async (t) => {
  const stream = openStream(connectGrpc(t, server.grpc));
  await sendByHttp1(server.http, posts[0]!); // takes the time
  stream.send(encodeRequest(makeBatch(1)));
  await waitFor("its ack", () => stream.acks.length === 1);
});

/** Sends the beginning of a body and waits for the answer. */
async function sendByHttp1(address: string, { path, contentType, announced = 1_000 }: SlowCall) {
  const request = http1Request(`http://${address}${path}`, {
    method: "POST",
    headers: { "content-type": contentType, "content-length": announced },
  });
  request.on("error", () => {}); // the rest is not sent
  request.write("{");
  const [response] = await once(request, "response");
  let body = "";
  for await (const piece of response) body += String(piece);
  request.destroy();
  return { status: Number(response.statusCode), body };
}

async function sendByHttp2(address: string, { path, contentType }: SlowCall) {
  const session = connect(`http://${address}`);
  const headers = { ":method": "POST", ":path": path, "content-type": contentType, te: "trailers" };
  const stream = session.request(headers);
  const seen: Record<string, unknown> = {};
  stream.on("trailers", (trailers) => Object.assign(seen, trailers));
  stream.write(Buffer.from([0, 0, 0, 1, 0, 0x0a]));
  const [response] = await once(stream, "response");
  Object.assign(seen, response);
  let body = "";
  for await (const piece of stream) body += String(piece);
  session.destroy();
  return { status: Number(seen[":status"]), grpcStatus: seen["grpc-status"], body };
}
