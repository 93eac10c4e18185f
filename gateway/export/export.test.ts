import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type IncomingMessage, request } from "node:http";
import type { AddressInfo } from "node:net";
import { text as readText } from "node:stream/consumers";
import { after, before, describe, test } from "node:test";
import { createGunzip } from "node:zlib";
import type { Pool } from "pg";
import { pino } from "pino";
import { createRegistry } from "#lib/metrics.ts";
import { storeRecords } from "#postgres/testing/store-records.ts";
import { waitFor } from "#test/support/wait-for.ts";
import { createRefusedCallsCounter } from "../fairness/refused-calls.ts";
import { openPool } from "../testing/open-pool.ts";
import { startWithTwoHosts } from "../testing/two-hosts.ts";
import { createExportHandler } from "./export-handler.ts";

let gateway: Awaited<ReturnType<typeof startWithTwoHosts>>;
let pool: Pool;
const traceId = "0af7651916cd43dd8448eb211c80319c";
before(async () => {
  gateway = await startWithTwoHosts();
  pool = openPool(gateway.databaseUrl);
  await gateway.seed([
    {
      deviceId: "-odd",
      receivedMicros: 1_767_225_600_000_000n,
      records: ["=1+2", "+1", "-1", "@x", "\tx", "\rx", '"a", \r\nb;c', "ä 😀 \u2028", "", "plain"].map(
        (message, index) => ({
          timeMicros: 1_767_225_600_000_000n + BigInt(index),
          severity: index,
          logger: message,
          message,
          attributes: { [`=${message}`]: message, __proto__x: "y" },
          ...(index % 2 === 0 && { traceId, spanId: "00f067aa0ba902b7", eventName: message }),
        }),
      ),
    },
  ]);
});
after(async () => {
  await pool.end();
  await gateway[Symbol.asyncDispose]();
});

/** All pages of ListLogs, one record a page. */
async function listed(query: string): Promise<object[]> {
  const logs: object[] = [];
  for (let token = "", pages = 0; pages === 0 || token !== ""; pages++) {
    const { body } = await gateway.get(`/v1/logs?${query}&page_size=3&page_token=${token}`);
    logs.push(...body.logs);
    token = body.nextPageToken;
  }
  return logs;
}

async function exported(query: string): Promise<string> {
  const response = await fetch(`${gateway.url}/v1/export?${query}`);
  assert.equal(response.status, 200);
  return await response.text();
}

test("the lines of NDJSON are the records of ListLogs, in either order, under any filter", async () => {
  for (const query of [
    "",
    "oldest_first=true",
    "device_id=host-1",
    "text=down",
    "device_id=unknown",
    "severities=ERROR&attributes=none",
    `trace_id=${traceId.toUpperCase()}`,
  ]) {
    const text = await exported(`${query}&format=ndjson`);
    const lines = text.split("\n").slice(0, -1);
    assert.deepEqual(
      lines.map((line) => JSON.parse(line) as object),
      await listed(query),
      query,
    );
    assert.ok(text === "" || text.endsWith("\n"));
  }
  assert.equal((await listed("")).length, 14);
  assert.equal((await listed(`trace_id=${traceId}`)).length, 5);
});

test("CSV has the same records, and no cell that a spreadsheet would run as a formula", async () => {
  const text = await exported("format=csv&oldest_first=true");
  const [header, ...rows] = readCsv(text);
  const records = (await listed("oldest_first=true")) as Record<string, unknown>[];
  assert.deepEqual(header, [
    "time",
    "received_at",
    "device_id",
    "session_id",
    "sequence",
    "index",
    "severity",
    "logger",
    "message",
    "attributes",
    "trace_id",
    "span_id",
    "event_name",
    "severity_text",
    "uptime",
    "observed_time",
    "is_text_repaired",
    "time_source",
  ]);
  assert.equal(rows.length, records.length);
  for (const [place, record] of records.entries()) {
    const row = rows[place] as string[];
    assert.deepEqual(
      row.map((cell) => cell.replace(/^'(?=[=+\-@\t\r])/, "")),
      [
        String(record.time).replace(
          /(?:\.(\d+))?Z$/,
          (_, digits = "") => `.${String(digits).padEnd(6, "0")}Z`,
        ),
        String(record.receivedAt).replace(
          /(?:\.(\d+))?Z$/,
          (_, digits = "") => `.${String(digits).padEnd(6, "0")}Z`,
        ),
        ...["deviceId", "sessionId", "sequence", "index", "severity", "logger", "message"].map((name) =>
          String(record[name]),
        ),
        JSON.stringify(record.attributes),
        ...["traceId", "spanId", "eventName", "severityText"].map((name) => String(record[name])),
        ((record.uptime as string | undefined) ?? "").replace(/s$/, ""),
        (record.observedTime as string | undefined) ?? "",
        record.isTextRepaired ? "true" : "",
        String(record.timeSource),
      ],
    );
    for (const cell of row) assert.doesNotMatch(cell, /^[=+\-@\t\r]/);
  }
  assert.ok(text.includes(`"'=1+2"`) && text.includes(`"""a"", \r\nb;c"`));
});

async function getAs(encoding: string) {
  const asked = request(`${gateway.url}/v1/export?format=csv`, {
    headers: { "accept-encoding": encoding },
  }).end();
  const [response] = (await once(asked, "response")) as [IncomingMessage];
  const isGzip = response.headers["content-encoding"] === "gzip";
  return {
    headers: response.headers,
    isGzip,
    text: await readText(isGzip ? response.pipe(createGunzip()) : response),
  };
}

test("is gzipped for a client that accepts gzip, downloads as a file, and is never cached", async () => {
  const plain = await getAs("br, gzip;q=0");
  const gzipped = await getAs("br, gzip");
  assert.deepEqual([plain.isGzip, gzipped.isGzip], [false, true]);
  assert.equal(gzipped.text, plain.text);
  assert.match(
    String(plain.headers["content-disposition"]),
    /^attachment; filename="fleetlog-\d{8}T\d{6}Z\.csv"$/,
  );
  assert.equal(plain.headers["content-type"], "text/csv; charset=utf-8; header=present");
  assert.equal(plain.headers["cache-control"], "no-store");
  assert.equal(plain.headers.vary, "accept-encoding");
});

test("invalid parameters are refused as in every other call", async () => {
  for (const [query, field] of [
    ["format=xml", "format"],
    ["format=csv&format=ndjson", "format"],
    ["page_size=10", "page_size"],
    ["explain=true", "explain"],
    ["page_token=x", "page_token"],
    ["colour=red", "colour"],
    ["device_id=%20", "device_id"],
    ["start_time=2026-01-02T00:00:00Z&end_time=2026-01-01T00:00:00Z", "end_time"],
  ] as const) {
    const { status, body } = await gateway.get(`/v1/export?${query}`);
    assert.deepEqual(
      [status, body.code, body.details[0]?.debug.fieldViolations[0]?.field],
      [400, "invalid_argument", field],
      query,
    );
  }
  const { status, headers } = await gateway.get("/v1/export", { method: "POST" });
  assert.deepEqual([status, headers.get("allow")], [405, "GET, HEAD"]);
});

const count = async (name: string, result = "") => {
  const metrics = await (await fetch(`${gateway.url}/metrics`)).text();
  const line = metrics.split("\n").find((one) => one.startsWith(`${name}{`) && one.includes(result)) ?? "";
  return Number(line.split(" ").at(-1) ?? 0);
};

describe("larger than the buffers between gateway and client", () => {
  const device = "device_id=large";
  before(async () => {
    await pool.query(`
      with device as (
        insert into devices (device_id, first_seen, last_seen) values ('large', now(), now()) returning key
      ), batch as (
        insert into batches (id, received_at, first_time, last_time, sequence, device_key, record_count,
          rejected_count, severities, bytes, session_id, digest)
        select next_batch_id(at), at, at, at + interval '99 ms', n, key, 100, 0, 512, 0, 's', ''
        from device, generate_series(1, 120) n, lateral (select timestamptz '2026-03-01' + n * interval '1 s' as at)
        returning id, first_time
      )
      ${storeRecords(
        "select id, n, first_time + n * interval '1 ms', 9, '', repeat('x', 6000) from batch, generate_series(0, 99) n",
      )}`);
  });

  /** An export of which only the first bytes were read. */
  async function begin(url = gateway.url) {
    const asked = request(`${url}/v1/export?${device}`).end();
    const [response] = (await once(asked, "response")) as [IncomingMessage];
    await once(response, "readable");
    return { asked, response };
  }

  test("is complete, at the client's pace, while another export waits for a permit", async () => {
    const slow = await begin();
    const second = await begin();
    const third = await gateway.get(`/v1/export?${device}`);
    assert.deepEqual([third.status, third.body.code], [429, "resource_exhausted"]);
    assert.equal(third.headers.get("retry-after"), "1");
    assert.equal(third.body.details[0]?.type, "google.rpc.RetryInfo");
    const { rows } = await pool.query(
      "select from pg_stat_activity where datname = current_database() and application_name = 'fleetlog-gateway' and state <> 'idle'",
    );
    assert.equal(rows.length, 0, "who does not read holds nothing in PostgreSQL");
    second.asked.destroy();
    await waitFor("the place to be free", async () => (await count("fleetlog_exports_running")) === 1);
    const lines = (await readText(slow.response)).split("\n").slice(0, -1);
    assert.equal(lines.length, 12_000);
    assert.equal(new Set(lines).size, 12_000);
    assert.equal(await count("fleetlog_exports_total", 'result="cancelled"'), 1);
    assert.equal(await count("fleetlog_exports_running"), 0);
  });

  test("a client that disconnects cancels the statement", async () => {
    const locker = await pool.connect();
    await locker.query("begin; lock table batches in access exclusive mode");
    const running = async () => {
      const { rowCount } = await pool.query(
        `select from pg_stat_activity where datname = current_database() and state = 'active'
         and application_name = 'fleetlog-gateway' and wait_event_type = 'Lock'`,
      );
      return rowCount;
    };
    const leaving = new AbortController();
    const call = fetch(`${gateway.url}/v1/export?${device}`, { signal: leaving.signal });
    call.catch(() => {});
    await waitFor("the statement", async () => (await running()) === 1);
    leaving.abort();
    await waitFor("the statement to be gone", async () => (await running()) === 0);
    await locker.query("rollback");
    locker.release();
  });

  test("an error after the first page breaks the connection, so that the client notices the missing end", async () => {
    const { response } = await begin();
    await pool.query("alter table record_batches rename to record_batches_gone");
    try {
      await assert.rejects(readText(response), /aborted|terminated|socket hang up/);
      assert.equal(response.complete, false);
      await waitFor("it to be counted", async () => (await count("fleetlog_exports_total", "failed")) === 1);
    } finally {
      await pool.query("alter table record_batches_gone rename to record_batches");
    }
  });

  test("refused exports are counted and not logged", async () => {
    const logged: string[] = [];
    const handle = createExportHandler({
      readPool: gateway.readPool,
      exportsMax: 0,
      refused: createRefusedCallsCounter(createRegistry("refused")),
      registry: createRegistry("test"),
      logger: pino({}, { write: (line: string) => void logged.push(line) }),
    });
    const server = createServer(
      (incoming, response) => void handle(incoming, response, { client: "client" }),
    ).listen(0, "127.0.0.1");
    await once(server, "listening");
    for (const query of ["", "?min_severity=loud"]) {
      const { response } = await begin(
        `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1/export${query}`,
      );
      assert.match(String(response.statusCode), /^4/);
      await readText(response);
    }
    assert.deepEqual(logged, []);
    server.close();
    await once(server, "close");
  });

  test("a client that does not read is disconnected", async () => {
    const registry = createRegistry("test");
    const handle = createExportHandler({
      readPool: gateway.readPool,
      exportsMax: 1,
      stalledMsMax: 100,
      refused: createRefusedCallsCounter(registry),
      registry,
      logger: pino({ level: "silent" }),
    });
    const server = createServer(
      (incoming, response) => void handle(incoming, response, { client: "client" }),
    ).listen(0, "127.0.0.1");
    await once(server, "listening");
    const { response } = await begin(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
    await waitFor("it to be cut off", async () =>
      (await registry.metrics()).includes('result="failed",program="test"} 1'),
    );
    await assert.rejects(readText(response));
    server.close();
    await once(server, "close");
  });
});

/** Parses strictly by RFC 4180: throws for a misplaced quote. */
function readCsv(text: string): string[][] {
  const rows: string[][] = [[]];
  const cellForm = /(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,|\r\n)/gy;
  while (cellForm.lastIndex < text.length) {
    const at = cellForm.lastIndex;
    const [, quoted, plain, end] = cellForm.exec(text) ?? assert.fail(`no CSV at ${at}`);
    rows.at(-1)?.push(quoted?.replaceAll('""', '"') ?? plain ?? "");
    if (end === "\r\n") rows.push([]);
  }
  assert.deepEqual(rows.pop(), [], "the last line ends too");
  return rows;
}
