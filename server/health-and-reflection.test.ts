import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { after, test } from "node:test";
import { promisify } from "node:util";
import { Client, credentials } from "@grpc/grpc-js";
import { service as health } from "grpc-health-check";
import { waitFor } from "#test/support/wait-for.ts";
import { startServerAndRedis } from "./testing/server-program.ts";

const { redis, server } = await startServerAndRedis({ after });
const buf = new URL("../node_modules/.bin/buf", import.meta.url).pathname;

async function bufCurl(method: string, data: string, reflection: "v1" | "v1alpha"): Promise<string> {
  const { stdout } = await promisify(execFile)(
    buf,
    `curl --http2-prior-knowledge --protocol grpc --reflect-protocol grpc-${reflection}`
      .split(" ")
      .concat("-d", data, `http://${server.grpc}/${method}`),
  );
  return stdout.replaceAll(/\s/g, "");
}

for (const reflection of ["v1", "v1alpha"] as const) {
  test(`a client that knows only the address sends logs, by reflection ${reflection}`, async () => {
    const push = '{"batch":{"deviceId":"buf","records":[{"message":"a"},{"message":"b"}]}}';
    const pushed = await bufCurl("fleetlog.v1.IngestService/PushLogs", push, reflection);
    assert.equal(pushed, '{"ack":{"accepted":2}}');
    const streamed = await bufCurl("fleetlog.v1.IngestService/StreamLogs", `${push}${push}`, reflection);
    assert.equal(streamed, '{"ack":{"accepted":2}}{"ack":{"accepted":2}}');
    const check = await bufCurl("grpc.health.v1.Health/Check", "{}", reflection);
    assert.equal(check, '{"status":"SERVING"}');
  });
}

test("whoever watches the health sees Redis go and come", async (t) => {
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
  await waitFor("SERVING", () => seen.at(-1) === "SERVING");
  process.kill(redis.pid, "SIGSTOP");
  await waitFor("NOT_SERVING", () => seen.at(-1) === "NOT_SERVING", 20_000);
  process.kill(redis.pid, "SIGCONT");
  await waitFor("SERVING again", () => seen.at(-1) === "SERVING", 20_000);
});
