import assert from "node:assert/strict";
import { after, describe, test } from "node:test";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import {
  GetLimitsResponseSchema,
  PushLogsRequestSchema,
  PushLogsResponseSchema,
} from "#proto/gen/fleetlog/v1/ingest_pb.ts";
import { startServerAndRedis } from "../testing/server-program.ts";

const origin = "https://app.example.com";
const { server } = await startServerAndRedis({ after }, { INGEST_CORS_ORIGINS: origin });
const service = `http://${server.http}/fleetlog.v1.IngestService`;

const request = toBinary(
  PushLogsRequestSchema,
  create(PushLogsRequestSchema, { batch: { deviceId: "manners", records: [{ message: "hi" }] } }),
);

function push(contentType: string, body: Uint8Array | string, headers: Record<string, string> = {}) {
  const init = { method: "POST", body, headers: { "content-type": contentType, ...headers } };
  return fetch(`${service}/PushLogs`, init);
}

test("application/x-protobuf is application/proto", async () => {
  const response = await push("application/x-protobuf", request);
  assert.equal(response.status, 200);
  const { ack } = fromBinary(PushLogsResponseSchema, new Uint8Array(await response.arrayBuffer()));
  assert.equal(ack?.accepted, 1);
});

describe("gRPC-Web in base64", () => {
  const frame = Buffer.concat([Buffer.from([0, 0, 0, 0, request.length]), request]);

  test("is answered in base64", async () => {
    for (const type of ["application/grpc-web-text", "application/grpc-web-text+proto"]) {
      const response = await push(type, frame.toString("base64"));
      assert.equal(response.headers.get("content-type"), "application/grpc-web-text+proto");
      const parts = (await response.text()).match(/[^=]+=*/g) ?? [];
      const bytes = Buffer.concat(parts.map((part) => Buffer.from(part, "base64")));
      const length = bytes.readUInt32BE(1);
      const { ack } = fromBinary(PushLogsResponseSchema, bytes.subarray(5, 5 + length));
      assert.equal(ack?.accepted, 1);
      assert.match(bytes.subarray(5 + length).toString("latin1"), /grpc-status: 0/);
    }
  });

  test("that is none gets a status, not an outage", async () => {
    const response = await push("application/grpc-web-text", "%%%%");
    const parts = (await response.text()).match(/[^=]+=*/g) ?? [];
    const text = Buffer.concat(parts.map((part) => Buffer.from(part, "base64"))).toString("latin1");
    assert.match(`${response.headers.get("grpc-status")} ${text}`, /^(3|12|13)|grpc-status: (3|12|13)/);
  });
});

test("HEAD is GET without its body, and every other method gets 405 with Allow", async () => {
  const limits = `${service}/GetLimits?connect=v1&encoding=proto&message=`;
  const got = await fetch(limits);
  assert.equal(got.status, 200);
  const { recordsMax } = fromBinary(GetLimitsResponseSchema, new Uint8Array(await got.arrayBuffer()));
  assert.equal(recordsMax, 10_000);
  const head = await fetch(limits, { method: "HEAD" });
  assert.deepEqual([head.status, await head.text()], [200, ""]);
  for (const [path, allow] of [
    ["GetLimits", "POST, GET, HEAD"],
    ["PushLogs", "POST"],
  ] as const) {
    const response = await fetch(`${service}/${path}`, { method: "PUT" });
    assert.equal(response.status, 405);
    assert.deepEqual(new Set(response.headers.get("allow")?.split(", ")), new Set(allow.split(", ")));
  }
});

function preflight(from: string, path: string) {
  return fetch(`http://${server.http}${path}`, {
    method: "OPTIONS",
    headers: { origin: from, "access-control-request-method": "POST" },
  });
}

describe("a page of another origin", () => {
  test("may send where it is allowed", async () => {
    for (const path of ["/fleetlog.v1.IngestService/PushLogs", "/v1/ingest/d"]) {
      const response = await preflight(origin, path);
      assert.equal(response.status, 204);
      assert.equal(response.headers.get("access-control-allow-origin"), origin);
      assert.match(response.headers.get("access-control-allow-headers") ?? "", /Fleetlog-Session/);
    }
    const response = await push("application/proto", request, { origin });
    assert.equal(response.headers.get("access-control-allow-origin"), origin);
  });

  test("that is not listed gets no header", async () => {
    const response = await preflight("https://evil.example.com", "/v1/ingest/d");
    assert.equal(response.headers.get("access-control-allow-origin"), null);
  });
});

test("unknown fields of JSON are ignored", async () => {
  for (const [path, body] of [
    ["PushLogs", '{"x":1,"batch":{"deviceId":"manners","y":[{}],"records":[{"message":"hi","z":{"a":1}}]}}'],
    ["GetLimits", '{"x":{"y":1}}'],
    ["../grpc.health.v1.Health/Check", '{"x":1}'],
  ] as const) {
    const response = await fetch(`${service}/${path}`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body,
    });
    assert.equal(response.status, 200, `${path}: ${await response.text()}`);
  }
});
