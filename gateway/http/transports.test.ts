import assert from "node:assert/strict";
import { type IncomingMessage, request } from "node:http";
import { after, before, test } from "node:test";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createConnectTransport, createGrpcWebTransport } from "@connectrpc/connect-node";
import { Severity } from "#proto/gen/fleetlog/v1/log_pb.ts";
import { QueryService } from "#proto/gen/fleetlog/v1/query_pb.ts";
import { BadRequestSchema } from "#proto/gen/google/rpc/error_details_pb.ts";
import { startWithTwoHosts } from "../testing/two-hosts.ts";

let gateway: Awaited<ReturnType<typeof startWithTwoHosts>>;
before(async () => {
  gateway = await startWithTwoHosts();
});
after(() => gateway[Symbol.asyncDispose]());

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
    const { logs } = await client.listLogs({
      filter: { deviceId: "host-1", minSeverity: Severity.ERROR },
    });
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

test("answers are compressed for who asks", async () => {
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    const headers = { "accept-encoding": "gzip" };
    request(`${gateway.url}/v1/logs`, { headers }, resolve).on("error", reject).end();
  });
  response.resume();
  assert.equal(response.statusCode, 200);
  assert.equal(response.headers["content-encoding"], "gzip");
});

test("the first address tells the others", async () => {
  const { body } = await gateway.get("/");
  assert.ok(body.addresses.includes("/v1/logs"));
  assert.equal((await fetch(`${gateway.url}/livez`)).status, 200);
});

test("both transports count as the same RPC, refusals with their code", async () => {
  await gateway.get("/v1/devices?page_size=5");
  await gateway.get("/v1/devices?page_size=-5");
  await gateway.get("/v1/devices?nothing=1");
  const metrics = await (await fetch(`${gateway.url}/metrics`)).text();
  assert.match(metrics, /grpc_server_handled_total\{[^}]*grpc_method="ListDevices",grpc_code="OK"[^}]*\} \d/);
  assert.match(metrics, /grpc_method="ListDevices",grpc_code="InvalidArgument"[^}]*\} [2-9]/);
  const sum = (name: string) =>
    [...metrics.matchAll(new RegExp(`^${name}\\{.*"ListDevices".*\\} (\\d+)$`, "gm"))].reduce(
      (total, [, count]) => total + Number(count),
      0,
    );
  assert.equal(sum("grpc_server_started_total"), sum("grpc_server_handled_total"));
  assert.match(metrics, /fleetlog_query_seconds_count\{[^}]*query="list_devices"[^}]*\} \d/);
});
