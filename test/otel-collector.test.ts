import assert from "node:assert/strict";
import { appendFile, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { execa } from "execa";
import { Pool } from "pg";
import { freePort } from "#dev/free-port.ts";
import { exportHttp } from "#test/support/otlp-sender.ts";
import { whyNoGo } from "./support/go-client.ts";
import { isCollectorBuilt, otelCollector } from "./support/otel-clients.ts";
import { startOtlpSystem } from "./support/otlp-system.ts";
import { sendingBlock } from "./support/sending-guide.ts";
import { waitFor } from "./support/wait-for.ts";

const lines = 1_000;
const requests = 100;

/** The first build takes minutes of CPU: CI makes it, other machines on request. */
async function whyNot(): Promise<string | undefined> {
  const noGo = await whyNoGo();
  if (noGo !== undefined || process.env["CI"] || process.env["BUILD_COLLECTOR"]) return noGo;
  return (await isCollectorBuilt())
    ? undefined
    : "the Collector is not built yet: BUILD_COLLECTOR=1 npm test -- test/otel-collector.test.ts takes some minutes";
}

const skip = (await whyNot()) ?? false;

test("the Collector delivers a file and what it receives, by gRPC and HTTP, each record once, though servers are killed", {
  skip,
}, async (t) => {
  const collector = await otelCollector();
  const folder = await mkdtemp(join(tmpdir(), "otelcol-"));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const system = await startOtlpSystem();
  const pool = new Pool({ connectionString: system.databaseUrl });
  t.after(async () => {
    await pool.end();
    await system[Symbol.asyncDispose]();
  });

  const port = await freePort();
  const logFile = join(folder, "app.log");
  const configFile = join(folder, "collector.yaml");
  await writeFile(configFile, collectorConfig(folder, port, system.nginx.otlp));
  const running = execa(collector, ["--config", `file:${configFile}`], { reject: false, all: true });
  t.after(async () => {
    running.kill();
    await running;
  });
  await waitFor("the Collector", () => isListening(port), 60_000);

  const done = new AbortController();
  const writing = Promise.all([writeLines(logFile), sendRequests(`http://127.0.0.1:${port}`)]).finally(() =>
    done.abort(),
  );
  for (let kills = 0; !done.signal.aborted; kills++) {
    const server = system.servers[kills % system.servers.length]!;
    await server.kill();
    if (kills === 1) {
      // Nothing is served for a while.
      await system.servers[0]!.kill();
      await sleep(1_000, undefined, { signal: done.signal }).catch(() => {});
      await system.servers[0]!.start();
    }
    await server.start();
  }
  await writing;
  for (const [device, expected] of [
    ["file-grpc", lines],
    ["file-http", lines],
    ["received", requests],
  ] as const) {
    const counts = await waitFor(
      `all records of ${device}`,
      async () => {
        const { rows } = await pool.query<{ records: number; messages: number }>(
          "select count(*)::int as records, count(distinct message)::int as messages from logs where device_id = $1",
          [device],
        );
        return rows[0]!.messages >= expected && rows[0];
      },
      120_000,
    );
    assert.deepEqual(counts, { records: expected, messages: expected }, device);
  }
});

async function writeLines(file: string): Promise<void> {
  for (let first = 1; first <= lines; first += 20) {
    const some = Array.from({ length: 20 }, (_, index) => `line ${first + index}\n`);
    await appendFile(file, some.join(""));
    await sleep(100);
  }
}

async function sendRequests(url: string): Promise<void> {
  for (let number = 1; number <= requests; number++) {
    const record = {
      timeUnixNano: String(BigInt(Date.now()) * 1_000_000n),
      body: { stringValue: `request ${number}` },
    };
    const resource = { attributes: [{ key: "host.name", value: { stringValue: "received" } }] };
    const body = JSON.stringify({ resourceLogs: [{ resource, scopeLogs: [{ logRecords: [record] }] }] });
    assert.equal((await exportHttp(url, body)).status, 200);
    await sleep(50);
  }
}

async function isListening(port: number): Promise<boolean> {
  const response = await fetch(`http://127.0.0.1:${port}/v1/logs`).catch(() => undefined);
  return response !== undefined;
}

/** With the exporters of docs/SENDING.md, and shorter pauses between retries. */
function collectorConfig(
  folder: string,
  port: number,
  {
    grpcListen,
    httpListen,
  }: { readonly grpcListen?: string | undefined; readonly httpListen?: string | undefined },
): string {
  const exporters = sendingBlock("exporters:")
    .replace("127.0.0.1:4317", grpcListen ?? "")
    .replace("127.0.0.1:4318", httpListen ?? "")
    .replaceAll("{ max_elapsed_time", "{ initial_interval: 200ms, max_interval: 1s, max_elapsed_time");
  return `
receivers:
  otlp:
    protocols: { http: { endpoint: "127.0.0.1:${port}" } }
  filelog/grpc: &file
    include: ["${folder}/app.log"]
    start_at: beginning
    storage: file_storage
    resource: { host.name: file-grpc }
  filelog/http:
    <<: *file
    resource: { host.name: file-http }
${exporters}
extensions:
  file_storage: { directory: "${folder}/storage", create_directory: true }
service:
  extensions: [file_storage]
  telemetry: { metrics: { level: none } }
  pipelines:
    logs/grpc: { receivers: [filelog/grpc], exporters: [otlp] }
    logs/http: { receivers: [filelog/http, otlp], exporters: [otlphttp] }
`;
}
