import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { after, test } from "node:test";
import { promisify } from "node:util";
import { Code, createClient } from "@connectrpc/connect";
import {
  createConnectTransport,
  createGrpcTransport,
  createGrpcWebTransport,
} from "@connectrpc/connect-node";
import { Client, credentials } from "@grpc/grpc-js";
import { service as health } from "grpc-health-check";
import { Health, HealthCheckResponse_ServingStatus as Status } from "#proto/gen/grpc/health/v1/health_pb.ts";
import { ServerReflection } from "#proto/gen/grpc/reflection/v1/reflection_pb.ts";
import { waitFor } from "#test/support/wait-for.ts";
import { startServerAndRedis } from "../testing/server-program.ts";

const { redis, server } = await startServerAndRedis({ after });
const buf = new URL("../../node_modules/.bin/buf", import.meta.url).pathname;

const kinds = (["grpc", "connect", "grpcweb"] as const).flatMap((protocol) =>
  (["v1", "v1alpha"] as const).map((reflection) => ({ protocol, reflection })),
);
for (const { protocol, reflection } of kinds) {
  const bufCurl = async (method: string, data: string): Promise<string> => {
    const { stdout } = await promisify(execFile)(
      buf,
      `curl --http2-prior-knowledge --protocol ${protocol} --reflect-protocol grpc-${reflection}`
        .split(" ")
        .concat("-d", data, `http://${protocol === "grpc" ? server.grpc : server.http}/${method}`),
    );
    return stdout.replaceAll(/\s/g, "");
  };
  test(`a client that knows only the address sends logs by ${protocol}, by reflection ${reflection}`, async () => {
    const push = '{"batch":{"deviceId":"buf","records":[{"message":"a"},{"message":"b"}]}}';
    const pushed = await bufCurl("fleetlog.v1.IngestService/PushLogs", push);
    assert.match(pushed, /"accepted":2,/);
    const streamed = await bufCurl("fleetlog.v1.IngestService/StreamLogs", `${push}${push}`);
    assert.equal(streamed.match(/"accepted":2,/g)?.length, 2);
    const check = await bufCurl("grpc.health.v1.Health/Check", "{}");
    assert.equal(check, '{"status":"SERVING"}');
  });
}

test("a client that watches the health sees Redis go and come back", async (t) => {
  const client = new Client(server.grpc, credentials.createInsecure());
  t.after(() => client.close());
  const watch = health["Watch"]!;
  const seen: string[] = [];
  const call = client.makeServerStreamRequest(
    watch.path,
    watch.requestSerialize,
    (bytes: Buffer) => watch.responseDeserialize(bytes) as { status: string },
    { service: "fleetlog.v1.IngestService" },
  );
  call.on("error", () => {}); // the end of the test cancels it
  call.on("data", ({ status }: { status: string }) => seen.push(status));
  t.after(() => call.cancel());
  const hangUp = new AbortController();
  t.after(() => hangUp.abort());
  const alsoSeen = transports().map((transport) => {
    const statuses: Status[] = [];
    const watching = async () => {
      for await (const { status } of createClient(Health, transport).watch({}, { signal: hangUp.signal }))
        statuses.push(status);
    };
    watching().catch(() => {}); // the end of the test cancels it
    return statuses;
  });
  const allSaw = (status: Status) => alsoSeen.every((statuses) => statuses.at(-1) === status);
  await waitFor("SERVING", () => seen.at(-1) === "SERVING" && allSaw(Status.SERVING));
  process.kill(redis.pid, "SIGSTOP");
  await waitFor("NOT_SERVING", () => seen.at(-1) === "NOT_SERVING" && allSaw(Status.NOT_SERVING), 20_000);
  process.kill(redis.pid, "SIGCONT");
  await waitFor("SERVING again", () => seen.at(-1) === "SERVING" && allSaw(Status.SERVING), 20_000);
  for (const statuses of alsoSeen)
    assert.ok(
      statuses.every((status, place) => status !== statuses[place - 1]),
      `no status twice in a row: ${statuses.join()}`,
    );
});

test("what there is not is said, and a stream of questions goes on", async () => {
  for (const transport of transports()) {
    await assert.rejects(createClient(Health, transport).check({ service: "a.B" }), /\[not_found\].*"a\.B"/);
    for await (const { status } of createClient(Health, transport).watch({ service: "a.B" })) {
      assert.equal(status, Status.SERVICE_UNKNOWN);
      break;
    }
    const asked = [
      { case: "fileContainingSymbol", value: "a.B" },
      { case: "fileByFilename", value: "a.proto" },
      { case: "allExtensionNumbersOfType", value: "fleetlog.v1.LogRecord" },
      { case: undefined },
      { case: "fileContainingSymbol", value: "fleetlog.v1.QueryService.ListLogs" },
      { case: "fileByFilename", value: "fleetlog/v1/log.proto" },
      // Details of errors, which grpcurl shows when it finds them.
      { case: "fileContainingSymbol", value: "google.rpc.BadRequest" },
      { case: "fileByFilename", value: "google/rpc/status.proto" },
      { case: "fileByFilename", value: "google/protobuf/duration.proto" },
    ] as const;
    async function* requests() {
      for (const messageRequest of asked) yield { messageRequest };
    }
    const answers: (string | number | undefined)[] = [];
    for await (const { messageResponse } of createClient(ServerReflection, transport).serverReflectionInfo(
      requests(),
    ))
      answers.push(
        messageResponse.case === "errorResponse" ? messageResponse.value.errorCode : messageResponse.case,
      );
    assert.deepEqual(answers, [
      Code.NotFound,
      Code.NotFound,
      Code.NotFound,
      Code.Unimplemented,
      "fileDescriptorResponse",
      "fileDescriptorResponse",
      "fileDescriptorResponse",
      "fileDescriptorResponse",
      "fileDescriptorResponse",
    ]);
  }
});

test("a watch of the health ends when the server stops, and does not delay it", async (t) => {
  const { server: stopping } = await startServerAndRedis(t);
  let begun = 0;
  const watches = transports(stopping).map(async (transport) => {
    const statuses: Status[] = [];
    const error: unknown = await (async () => {
      for await (const { status } of createClient(Health, transport).watch({})) {
        statuses.push(status);
        if (statuses.length === 1) begun += 1;
      }
    })().catch((reason: unknown) => reason);
    return { last: statuses.at(-1), error: String(error) };
  });
  await waitFor("all to watch", () => begun === watches.length);
  process.kill(stopping.pid, "SIGTERM");
  for (const { last, error } of await Promise.all(watches)) {
    assert.equal(last, Status.NOT_SERVING);
    assert.match(error, /\[unavailable\] the server is stopping/);
  }
  assert.equal(await stopping.exited, 0);
  assert.ok(!stopping.log.some(({ msg }) => msg === "failed to stop"));
});

function transports({ grpc, http } = server) {
  const options = { baseUrl: `http://${http}`, httpVersion: "2" } as const;
  return [
    createGrpcTransport({ baseUrl: `http://${grpc}` }),
    createConnectTransport(options),
    createConnectTransport({ ...options, useBinaryFormat: true }),
    createGrpcWebTransport(options),
  ];
}
