import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Client, credentials, status } from "@grpc/grpc-js";
import { execa } from "execa";
import { Pool } from "pg";
import { encodeOtlp, type OtlpRecord, type OtlpRequest } from "#otlp/testing/otlp.ts";
import { exportGrpc, exportHttp, readHttpResponse } from "#test/support/otlp-sender.ts";
import { startOtlpSystem } from "./support/otlp-system.ts";
import { sendingBlock } from "./support/sending-guide.ts";
import type { TestSystem } from "./support/system.ts";
import { waitFor } from "./support/wait-for.ts";

let system: TestSystem;
let pool: Pool;
let client: Client;
before(async () => {
  system = await startOtlpSystem();
  pool = new Pool({ connectionString: system.databaseUrl });
  client = new Client(system.nginx.otlp.grpcListen!, credentials.createInsecure());
});
after(async () => {
  client.close();
  await pool.end();
  await system[Symbol.asyncDispose]();
});

const now = BigInt(Date.now()) * 1_000_000n;

function request(host: string, ...logRecords: OtlpRecord[]): OtlpRequest {
  const resource = {
    attributes: [
      { key: "host.name", value: { stringValue: host } },
      { key: "process.pid", value: { intValue: 42 } },
    ],
  };
  return { resourceLogs: [{ resource, scopeLogs: [{ scope: { name: "net.wifi" }, logRecords }] }] };
}

async function logsOf(device: string, count: number) {
  return waitFor(`${count} records of ${device}`, async () => {
    const response = await fetch(`${system.httpUrl}/v1/logs?device_id=${device}`);
    const { logs } = (await response.json()) as { logs: Record<string, unknown>[] };
    return logs.length >= count && logs;
  });
}

test("what arrives on the ports for OTLP is found with its attributes, those of the resource too", async () => {
  await exportGrpc(client, encodeOtlp(request("found", record("by gRPC"))));
  const url = `http://${system.nginx.otlp.httpListen}`;
  await exportHttp(url, encodeOtlp(request("found", record("by HTTP"))), { gzip: true });
  await exportHttp(url, JSON.stringify(request("found", record("in JSON"))));
  await exportHttp(system.httpUrl, JSON.stringify(request("found", record("on the usual port"))));
  const logs = await logsOf("found", 4);
  assert.deepEqual(
    logs.map(({ message }) => String(message)).sort((a, b) => a.localeCompare(b)),
    ["by gRPC", "by HTTP", "in JSON", "on the usual port"],
  );
  assert.equal(logs[0]!["logger"], "net.wifi");
  const { rows } = await pool.query(
    "select distinct severity, attributes from logs where device_id = 'found'",
  );
  assert.deepEqual(rows, [
    { severity: 17, attributes: { "host.name": "found", "process.pid": 42, temp: 21.5 } },
  ]);
});

test("a request that arrives again at another server is stored once, and reported as no incident", async () => {
  const records = Array.from({ length: 20 }, (_, index) => ({
    timeUnixNano: String(now + BigInt(index)),
    body: { stringValue: `again ${index}` },
  }));
  const content = encodeOtlp(request("again", ...records));
  for (const server of [...system.servers, ...system.servers]) {
    await exportHttp(`http://${server.addresses["http"]}`, content);
  }
  await exportHttp(system.httpUrl, JSON.stringify(request("again", ...records)));
  const untimed = encodeOtlp(request("again", { body: { stringValue: "without time" } }));
  for (let time = 0; time < 2; time++) await exportHttp(system.httpUrl, untimed);
  await logsOf("again", 22);
  const recognised = await waitFor("the retries to be counted", async () => {
    const metrics = await (await fetch(`http://${system.consumer.addresses["admin"]}/metrics`)).text();
    const count = Number(/^fleetlog_otlp_retries_recognised_total\S* (\d+)$/m.exec(metrics)?.[1] ?? 0);
    return count >= 4 && count;
  });
  assert.equal(recognised, 4);
  const { rows } = await pool.query(
    "select count(*)::int as records, (select count(*)::int from incidents) as incidents from logs where device_id = 'again'",
  );
  assert.deepEqual(rows, [{ records: 22, incidents: 0 }]);
});

test("a rejected record is a dead letter that people can read, and its neighbours are stored", async () => {
  let deep: object = { intValue: "1" };
  for (let depth = 0; depth < 40; depth++) deep = { arrayValue: { values: [deep] } };
  const { partial } = await exportHttp(
    system.httpUrl,
    JSON.stringify(
      request(
        "rejected",
        { timeUnixNano: String(now), body: deep, eventName: "too.deep" },
        { timeUnixNano: String(now), body: { stringValue: "good" } },
      ),
    ),
  );
  assert.equal(partial.rejected, 1);
  assert.match(
    partial.message,
    /^1 of 2 records rejected: record 0: body is nested more than 32 levels deep$/,
  );
  await logsOf("rejected", 1);
  const { rows } = await pool.query<{ reason: string; raw: Buffer }>("select reason, raw from dead_letters");
  assert.equal(rows.length, 1);
  assert.match(rows[0]!.reason, /nested more than 32 levels/);
  assert.match(rows[0]!.raw.toString(), /"event_name":"too\.deep"/);
});

test("a request of several batches rejects as many records as dead letters cover, by every way in", async () => {
  let deep: object = { intValue: "1" };
  for (let depth = 0; depth < 40; depth++) deep = { arrayValue: { values: [deep] } };
  const bad = [{ severityNumber: 99 }, { body: deep }, { body: { stringValue: "\0" } }];
  const records = Array.from({ length: 12_000 }, (_, index) => ({
    timeUnixNano: String(now + BigInt(index)),
    ...(index % 8 === 0 ? bad[(index / 8) % bad.length] : { body: { stringValue: `good ${index}` } }),
  }));
  const lines = records.map((_, index) => (index % 8 === 0 ? "no JSON" : `{"msg":"good ${index}"}`));
  const ways: Record<string, () => Promise<number>> = {
    "by-grpc": async () => (await exportGrpc(client, encodeOtlp(request("by-grpc", ...records)))).rejected,
    "by-json": async () => {
      const content = JSON.stringify(request("by-json", ...records));
      return (await exportHttp(system.httpUrl, content)).partial.rejected;
    },
    "by-lines": async () => {
      const response = await fetch(`${system.httpUrl}/v1/ingest/by-lines`, {
        method: "POST",
        headers: { "content-type": "application/x-ndjson" },
        body: lines.join("\n"),
      });
      return ((await response.json()) as { rejected: number }).rejected;
    },
  };
  for (const [device, send] of Object.entries(ways)) {
    assert.equal(await send(), 1_500, device);
    const counts = await waitFor(`the records of ${device}`, async () => {
      const { rows } = await pool.query<{ stored: number; letters: number }>(
        `select (select count(*)::int from logs where device_id = $1) as stored,
           (select coalesce(sum(record_count), 0)::int from dead_letters where device_id = $1) as letters`,
        [device],
      );
      return rows[0]!.stored + rows[0]!.letters >= records.length && rows[0];
    });
    assert.deepEqual(counts, { stored: 10_500, letters: 1_500 }, device);
  }
});

test("the command of docs/SENDING.md stores its record", async () => {
  const command = sendingBlock("/v1/logs -H").replace("127.0.0.1:4318", system.nginx.otlp.httpListen ?? "");
  const { stdout } = await execa("sh", ["-c", command]);
  assert.equal(stdout, "{}");
  const [log] = await logsOf("host-1", 1);
  assert.deepEqual([log!["message"], log!["logger"]], ["hello by OTLP", "demo"]);
});

test("the ports for OTLP serve OTLP and nothing else", async () => {
  const url = `http://${system.nginx.otlp.httpListen}`;
  assert.equal((await fetch(`${url}/livez`)).status, 200);
  for (const [path, method] of [
    ["/v1/logs", "GET"],
    ["/", "GET"],
    ["/fleetlog.v1.IngestService/PushLogs", "POST"],
    ["/fleetlog.v1.QueryService/ListLogs", "POST"],
  ] as const) {
    const response = await fetch(url + path, { method });
    assert.equal(response.status, 404, path);
    assert.match(await response.text(), /this port serves OTLP only/);
  }
});

test("on the usual port /v1/logs is for reading by GET, and for senders by POST", async () => {
  const url = `${system.httpUrl}/v1/logs`;
  assert.equal((await fetch(`${url}?page_size=1`)).status, 200);
  assert.equal((await fetch(`${url}?page_size=1`, { method: "HEAD" })).status, 200);
  assert.match((await fetch(url, { method: "OPTIONS" })).headers.get("allow") ?? "", /GET/);
  const put = await fetch(url, { method: "PUT" });
  assert.deepEqual([put.status, put.headers.get("allow")?.includes("GET")], [405, true]);
  const empty = await exportHttp(system.httpUrl, "{}");
  assert.deepEqual([empty.status, empty.contentType], [200, "application/json"]);
});

test("traces and metrics are refused with a reason that is final", async () => {
  const response = await fetch(`${system.httpUrl}/v1/traces`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: "{}",
  });
  const { status: httpStatus, error } = await readHttpResponse(response);
  assert.deepEqual([httpStatus, error.code], [404, status.UNIMPLEMENTED]);
  await assert.rejects(
    new Promise((resolve, reject) => {
      const path = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export";
      client.makeUnaryRequest(path, bytes, bytes, Buffer.alloc(0), (error) =>
        error ? reject(error) : resolve(0),
      );
    }),
    { code: status.UNIMPLEMENTED, details: /logs only/ },
  );
});

function record(message: string): OtlpRecord {
  return {
    timeUnixNano: String(now),
    severityNumber: 17,
    severityText: "Err",
    body: { stringValue: message },
    attributes: [{ key: "temp", value: { doubleValue: 21.5 } }],
  };
}

function bytes(value: Buffer): Buffer {
  return value;
}
