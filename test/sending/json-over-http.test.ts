import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { execa } from "execa";
import { Client } from "pg";
import { startSystem, type TestSystem } from "#test/support/system.ts";
import { waitFor } from "#test/support/wait-for.ts";
import { docBlocks } from "./doc-blocks.ts";

let system: TestSystem;
let database: Client;
before(async () => {
  system = await startSystem({ servers: 1 });
  database = new Client({ connectionString: system.databaseUrl });
  await database.connect();
});
after(async () => {
  await database?.end();
  await system?.[Symbol.asyncDispose]();
});

interface Row {
  readonly time: Date;
  readonly severity: number;
  readonly message: string;
  readonly attributes: Record<string, unknown>;
}

/** Records of a device once there are `count`, in the order of their messages. */
function stored(deviceId: string, count: number): Promise<readonly Row[]> {
  const query = "select time, severity, message, attributes from logs where device_id = $1 order by message";
  return waitFor(`${count} records of ${deviceId}`, async () => {
    const { rows } = await database.query<Row>(query, [deviceId]);
    return rows.length >= count && rows;
  });
}

async function post(deviceId: string, type: string, body: string): Promise<void> {
  const response = await fetch(`${system.httpUrl}/v1/ingest/${deviceId}`, {
    method: "POST",
    headers: { "content-type": type },
    body,
  });
  assert.equal(response.status, 200, await response.text());
}

test("the commands of docs/SENDING.md store what they send, the numbered one once", async () => {
  const [commands = "", , ...rest] = [...docBlocks("## JSON over HTTP")];
  const [numbered = ""] = docBlocks("### Retries");
  assert.deepEqual(rest, []);
  for (const command of [commands, numbered, numbered]) {
    const script = command.replaceAll("http://127.0.0.1:8080", system.httpUrl);
    const { stdout } = await execa("bash", ["-euo", "pipefail", "-c", script]);
    assert.match(stdout, /"accepted":\d+,"rejected":0/);
  }
  await post("after", "application/json", '{"msg":"stored after all of them"}');
  await stored("after", 1);
  const rows = await stored("host-1", 4);
  assert.deepEqual(
    rows.map(({ severity, message }) => [severity, message]),
    [
      [13, "disk is full"],
      [0, "one"],
      [0, "sent once, however often it is repeated"],
      [0, "two"],
    ],
  );
  assert.deepEqual(rows[0]?.attributes, { disk: "sda1", free: 0.02 });
  assert.equal(rows[1]?.time.toISOString(), "2025-11-27T17:01:02.500Z");
});

test("a rejected line is kept as a dead letter, with its text and reason", async () => {
  await post("bad-line", "application/x-ndjson", '{"msg":"a"}\nnot JSON\n{"msg":"b"}\n');
  await stored("bad-line", 2);
  const { rows } = await database.query<{ reason: string }>(
    "select d.reason from dead_letters d where d.device_id = $1",
    ["bad-line"],
  );
  assert.deepEqual(
    rows.map(({ reason }) => reason),
    ["record is not JSON: a value is missing, at byte 0"],
  );
});

// Bodies as these shippers send them; none of them is in a registry that a test could use.
describe("what shippers send is stored under the fields that they mean", () => {
  const vector = {
    host: "web-1",
    level: "error",
    message: "connection refused",
    source_type: "file",
    file: "/var/log/app.log",
    timestamp: "2025-11-27T17:01:02.123456789Z",
    kubernetes: { pod_name: "app-1", pod_labels: { tier: "web" } },
  };
  const vectorAttributes = {
    host: "web-1",
    source_type: "file",
    file: "/var/log/app.log",
    "kubernetes.pod_name": "app-1",
    "kubernetes.pod_labels.tier": "web",
  };
  for (const [name, type, body] of [
    ["vector-lines", "application/x-ndjson", `${JSON.stringify(vector)}\n`],
    ["vector-array", "application/json", JSON.stringify([vector])],
  ] as const) {
    test(name, async () => {
      await post(name, type, body);
      const [row] = await stored(name, 1);
      assert.equal(row?.message, "connection refused");
      assert.equal(row.severity, 17);
      assert.equal(row.time.toISOString(), "2025-11-27T17:01:02.123Z");
      assert.deepEqual(row.attributes, vectorAttributes);
    });
  }

  const fluentBit = '{"date":1764262862.123456,"log":"out of memory","stream":"stderr","pid":17}';
  for (const [name, type, body] of [
    ["fluent-bit-json", "application/json", `[${fluentBit}]`],
    ["fluent-bit-json-stream", "application/json", fluentBit],
    ["fluent-bit-json-lines", "application/x-ndjson", `${fluentBit}\n`],
  ] as const) {
    test(name, async () => {
      await post(name, type, body);
      const [row] = await stored(name, 1);
      assert.equal(row?.message, "out of memory");
      assert.equal(row.time.toISOString(), "2025-11-27T17:01:02.123Z");
      assert.deepEqual(row.attributes, { stream: "stderr", pid: 17 });
    });
  }
});
