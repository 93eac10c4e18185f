import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { execa } from "execa";
import { Pool } from "pg";
import { whyNoGo } from "./support/go-client.ts";
import { type OtelSender, otelGo, otelJs, otelPython } from "./support/otel-clients.ts";
import { startOtlpSystem } from "./support/otlp-system.ts";
import { whyNoPython } from "./support/python-client.ts";
import type { TestSystem } from "./support/system.ts";
import { waitFor } from "./support/wait-for.ts";

const count = 400;
const perSecond = 100;

let system: TestSystem;
let pool: Pool;
before(async () => {
  system = await startOtlpSystem();
  pool = new Pool({ connectionString: system.databaseUrl });
});
after(async () => {
  await pool.end();
  await system[Symbol.asyncDispose]();
});

for (const [language, missing, build, protocols] of [
  ["JavaScript", undefined, otelJs, ["grpc", "http/protobuf", "http/json"]],
  ["Python", await whyNoPython(), otelPython, ["grpc", "http/protobuf"]],
  ["Go", await whyNoGo(), otelGo, ["grpc", "http/protobuf"]],
] as const) {
  test(`OpenTelemetry's SDK for ${language}: each record is stored once, though servers are killed while it sends`, {
    skip: missing ?? false,
  }, async () => {
    const sender = await build();
    const devices = protocols.map((protocol) => `${language}-${protocol.replace("/", "-")}`);
    const done = new AbortController();
    const sending = Promise.all(
      protocols.map((protocol, index) => send(sender, protocol, devices[index]!)),
    ).finally(() => done.abort());
    for (let kills = 0; !done.signal.aborted; kills++) {
      const before = await storedOf(devices[0]!);
      const hasMore = async () => done.signal.aborted || (await storedOf(devices[0]!)) > before;
      await waitFor("more records", hasMore, 60_000);
      const server = system.servers[kills % system.servers.length]!;
      await server.kill();
      await server.start();
    }
    await sending;
    for (const device of devices) {
      await waitFor(`all records of ${device}`, async () => (await storedOf(device)) >= count, 60_000);
      const { rows } = await pool.query(
        `select count(*)::int as records, count(distinct message)::int as messages,
             min(severity) as severity, count(*) filter (where attributes ->> 'number' is not null)::int as numbered
           from logs where device_id = $1`,
        [device],
      );
      assert.deepEqual(rows, [{ records: count, messages: count, severity: 13, numbered: count }], device);
    }
  });
}

async function send([command, ...args]: OtelSender, protocol: string, device: string): Promise<void> {
  const { grpcListen = "", httpListen = "" } = system.nginx.otlp;
  const endpoint = protocol === "grpc" ? grpcListen : httpListen;
  const own = [protocol, endpoint, device, String(count), String(perSecond)];
  await execa(command, [...args, ...own], { timeout: 120_000, stderr: "inherit" });
}

async function storedOf(device: string): Promise<number> {
  const { rows } = await pool.query<{ count: number }>(
    "select count(*)::int as count from logs where device_id = $1",
    [device],
  );
  return rows[0]!.count;
}
