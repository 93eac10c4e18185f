import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { fromBinary } from "@bufbuild/protobuf";
import { type Any, anyUnpack } from "@bufbuild/protobuf/wkt";
import { Client, credentials, type ServiceError, status } from "@grpc/grpc-js";
import { RetryInfoSchema } from "#proto/gen/google/rpc/error_details_pb.ts";
import { StatusSchema } from "#proto/gen/google/rpc/status_pb.ts";
import { type EchoUpstream, startEchoUpstream } from "#test/support/echo-upstream.ts";
import { startNginx, type TestNginx } from "#test/support/nginx.ts";
import { waitFor } from "#test/support/wait-for.ts";

const pushLogs = "/fleetlog.v1.IngestService/PushLogs";

let upstream: EchoUpstream;
before(async () => {
  upstream = await startEchoUpstream();
});
after(() => upstream[Symbol.asyncDispose]());

describe("with a limit of one call a second", () => {
  let nginx: TestNginx;
  before(async () => {
    nginx = await startNginx({ servers: [upstream], gateways: [upstream.http], callsPerSecondMax: 1 });
  });
  after(() => nginx[Symbol.asyncDispose]());

  test("gRPC gets RESOURCE_EXHAUSTED with a retry delay", async () => {
    const error = await refusedPush(nginx);
    assert.equal(error.code, status.RESOURCE_EXHAUSTED);
    const [details] = error.metadata.get("grpc-status-details-bin");
    const { code, details: all } = fromBinary(StatusSchema, details as Buffer);
    assert.equal(code, status.RESOURCE_EXHAUSTED);
    assert.equal(anyUnpack(all[0] as Any, RetryInfoSchema)?.retryDelay?.seconds, 1n);
  });

  test("Connect and REST get 429 in Connect's JSON, with Retry-After and Connect's detail", async () => {
    const { response, body } = await refusedPost(nginx, "application/json");
    assert.deepEqual(
      [response.status, response.headers.get("content-type"), response.headers.get("retry-after")],
      [429, "application/json", "1"],
    );
    const { code, details } = JSON.parse(body) as {
      code: string;
      details: { type: string; value: string }[];
    };
    assert.deepEqual([code, details[0]?.type], ["resource_exhausted", "google.rpc.RetryInfo"]);
    const retryInfo = fromBinary(RetryInfoSchema, Buffer.from(details[0]?.value ?? "", "base64"));
    assert.equal(retryInfo.retryDelay?.seconds, 1n);
  });

  test("gRPC-Web gets the error in its header", async () => {
    const { response: refused } = await refusedPost(nginx, "application/grpc-web+proto");
    assert.deepEqual([refused.status, refused.headers.get("grpc-status")], [200, "8"]);
    assert.equal(refused.headers.get("content-type"), "application/grpc-web+proto");
  });

  test("the liveness check has no limit", async () => {
    for (const _ of [...burst, ...burst])
      assert.equal((await fetch(`http://${nginx.http}/livez`)).status, 200);
  });
});

test("by default a fleet behind one address is not refused", async () => {
  await using nginx = await startNginx({ servers: [upstream], gateways: [upstream.http] });
  for (let round = 0; round < 10; round += 1) await Promise.all(burst.map(() => push(nginx)));
});

describe("the access log", () => {
  const folder = mkdtempSync(join(tmpdir(), "fleetlog-access-"));
  after(() => rmSync(folder, { recursive: true }));

  test("is one JSON object per call: method, path and outcome, without data or search terms", async () => {
    const accessLogFile = join(folder, "all.log");
    await using nginx = await startNginx({ servers: [upstream], gateways: [upstream.http], accessLogFile });
    await push(nginx);
    await fetch(`http://${nginx.http}/v1/logs?text=secret-words`, {
      method: "POST",
      headers: { authorization: "Bearer secret-token", cookie: "secret=1" },
      body: "secret-body",
    });
    const lines = await waitFor("both calls", () => {
      const read = readLines(accessLogFile);
      return read.length === 2 && read; // without the liveness checks
    });
    assert.doesNotMatch(readFileSync(accessLogFile, "utf8"), /secret/);
    const [grpc, rest] = lines;
    assert.deepEqual(
      [grpc?.method, grpc?.path, grpc?.protocol, grpc?.status, grpc?.grpc_status],
      ["POST", pushLogs, "HTTP/2.0", 200, "0"],
    );
    assert.deepEqual([rest?.path, rest?.status, rest?.grpc_status], ["/v1/logs", 200, ""]);
    assert.equal(rest?.upstream, upstream.http);
  });

  test("can be limited to failures", async () => {
    const accessLogFile = join(folder, "failures.log");
    await using nginx = await startNginx({
      servers: [upstream],
      gateways: ["127.0.0.1:1"],
      accessLogFile,
      accessLogPercent: 0,
    });
    await push(nginx);
    await assert.rejects(push(nginx, "/other.Service/Call"));
    await fetch(`http://${nginx.http}/v1/logs`);
    const lines = await waitFor("the failures", () => {
      const read = readLines(accessLogFile);
      return read.length === 2 && read;
    });
    assert.deepEqual(
      lines.map(({ path, status, grpc_status }) => [path, status, grpc_status]),
      [
        ["/other.Service/Call", 200, "12"],
        ["/v1/logs", 503, ""],
      ],
    );
  });
});

const burst = Array.from({ length: 20 }, (_, index) => index);

interface Line {
  readonly method: string;
  readonly path: string;
  readonly protocol: string;
  readonly status: number;
  readonly grpc_status: string;
  readonly upstream: string;
}

function readLines(file: string): Line[] {
  const text = readFileSync(file, "utf8");
  return text
    .split("\n")
    .slice(0, -1)
    .map((line) => JSON.parse(line) as Line);
}

/** Pushes in bursts until one is refused: on a slow machine the first few may come at the allowed rate. */
function refusedPush(nginx: TestNginx): Promise<ServiceError> {
  return waitFor("a refusal", async () => {
    const settled = await Promise.allSettled(burst.map(() => push(nginx)));
    return settled.find((one) => one.status === "rejected")?.reason as ServiceError | undefined;
  });
}

async function refusedPost(
  nginx: TestNginx,
  contentType: string,
): Promise<{ response: Response; body: string }> {
  return waitFor("a refusal", async () => {
    const answers = await Promise.all(
      burst.map(async () => {
        const response = await fetch(`http://${nginx.http}${pushLogs}`, {
          method: "POST",
          headers: { "content-type": contentType },
          body: "{}",
        });
        return { response, body: await response.text() };
      }),
    );
    return answers.find(({ response }) => response.status === 429 || response.headers.has("grpc-status"));
  });
}

async function push(nginx: TestNginx, path = pushLogs): Promise<void> {
  const client = new Client(nginx.grpc, credentials.createInsecure(), { "grpc.enable_retries": 0 });
  try {
    await new Promise((resolve, reject) => {
      client.makeUnaryRequest(path, identity, identity, Buffer.from("x"), (error, answer) =>
        error ? reject(error) : resolve(answer),
      );
    });
  } finally {
    client.close();
  }
}

function identity(bytes: Buffer): Buffer {
  return bytes;
}
