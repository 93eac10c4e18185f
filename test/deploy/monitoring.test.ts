import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { credentials, Client as GrpcClient, Metadata, status } from "@grpc/grpc-js";
import { Redis } from "ioredis";
import { Kysely, PostgresDialect } from "kysely";
import { Client, Pool } from "pg";
import { ensurePartitions } from "#postgres/partitions.ts";
import type { Database } from "#postgres/tables.ts";
import { groupName, streamKey } from "#stream/keys.ts";
import { createDatabase, type TestDatabase } from "#test/support/postgres.ts";
import { startSystem, type TestSystem } from "#test/support/system.ts";
import { waitFor } from "#test/support/wait-for.ts";
import { alerts, dashboards, queries } from "./monitoring-files.ts";
import { readQuery } from "./promql.ts";
import { type Metrics, scrape } from "./scrape.ts";

// Every query of the dashboards and every alert, against what the running programs show and the database has. The
// system first lives through whatever makes a series appear.

/** Not ours: of Prometheus itself, of node_exporter, of the kubelet. */
const foreign = /^(up|node_filesystem_(avail|size)_bytes|kubelet_volume_stats_(available|capacity)_bytes)$/;

/** Labels that Prometheus gives to what it scrapes. */
const ofPrometheus = ["instance", "job"];

/** As gRPC's metrics write them; not all of them occur in a test. */
const codes = new Set(
  "OK Canceled Unknown InvalidArgument DeadlineExceeded NotFound AlreadyExists PermissionDenied ResourceExhausted FailedPrecondition Aborted OutOfRange Unimplemented Internal Unavailable DataLoss Unauthenticated".split(
    " ",
  ),
);

let readDatabase: TestDatabase;
let system: TestSystem;
let metrics: Metrics;

before(async () => {
  // No replica, but the gateway watches it like one.
  readDatabase = await createDatabase();
  system = await startSystem({
    env: { server: { STREAM_AGE_SECONDS_MAX: "1" }, gateway: { DATABASE_READ_URL: readDatabase.url } },
  });
  await live(system);
  const { servers, consumer, gateway } = system;
  metrics = await scrape([
    ...[...servers, consumer].map(({ addresses }) => addresses.admin ?? ""),
    gateway.addresses.http ?? "",
  ]);
});
after(async () => {
  await system[Symbol.asyncDispose]();
  await readDatabase[Symbol.asyncDispose]();
});

describe("every query in PromQL", () => {
  test("uses metrics, labels and values that the programs have", () => {
    const expressions = [
      ...queries.flatMap(({ expr, legendFormat = "", place }) =>
        expr === undefined ? [] : [{ place, expr, shown: legendFormat }],
      ),
      ...alerts.map(({ alert, expr, annotations }) => ({
        place: alert,
        expr,
        shown: Object.values(annotations).join(" ").replaceAll("$labels.", ""),
      })),
    ];
    assert.ok(expressions.length > 60);
    assert.deepEqual(expressions.flatMap(findProblems), []);
  });
});

describe("every query in SQL", () => {
  test("runs on the database", async () => {
    const client = new Client({ connectionString: system.databaseUrl });
    await client.connect();
    try {
      for (const { rawSql, place } of queries) {
        if (rawSql === undefined) continue;
        const sql = rawSql.replaceAll(
          /\$__timeFilter\((\w+)\)/g,
          "$1 between now() - interval '1 day' and now()",
        );
        assert.doesNotMatch(sql, /\$__/, place);
        await assert.doesNotReject(client.query(sql), place);
      }
    } finally {
      await client.end();
    }
  });
});

describe("the dashboards", () => {
  test("are the five, each with a unique name and panels that do not overlap", () => {
    assert.deepEqual(
      dashboards.map(({ uid, file }) => [`${uid}.json`, file]),
      ["consumer", "gateway", "ingest", "overview", "postgresql"].map((name) =>
        Array(2).fill(`fleetlog-${name}.json`),
      ),
    );
    for (const { title, panels } of dashboards) {
      assert.equal(new Set(panels.map(({ id }) => id)).size, panels.length, title);
      const cells = panels.flatMap(({ gridPos: { x, y, w, h } }) =>
        Array.from({ length: w * h }, (_, index) => `${x + (index % w)},${y + Math.floor(index / w)}`),
      );
      assert.equal(new Set(cells).size, cells.length, title);
      assert.ok(
        panels.every(({ gridPos: { x, w } }) => x + w <= 24),
        title,
      );
    }
  });
});

function findProblems({ place, expr, shown }: { place: string; expr: string; shown: string }): string[] {
  const { selectors, groupingLabels } = readQuery(expr);
  const problems: string[] = [];
  const known = new Set(ofPrometheus);
  for (const { metric, matchers } of selectors) {
    if (foreign.test(metric)) continue;
    const labels = metrics.get(metric);
    if (labels === undefined) {
      problems.push(`${place}: no program has ${metric}`);
      continue;
    }
    for (const label of labels.keys()) known.add(label);
    for (const { label, op, value } of matchers) {
      if (ofPrometheus.includes(label)) continue;
      for (const one of op.includes("~") ? value.split("|") : [value]) {
        const seen = label === "grpc_code" ? codes : labels.get(label);
        if (!seen?.has(one)) problems.push(`${place}: ${metric} is never seen with ${label}="${one}"`);
      }
    }
  }
  const wanted = [
    ...groupingLabels,
    ...[...shown.matchAll(/\{\{\s*(\w+)\s*\}\}/g)].map(([, label]) => label ?? ""),
  ];
  problems.push(...wanted.filter((label) => !known.has(label)).map((label) => `${place}: no label ${label}`));
  return problems;
}

/** Lets everything happen once that has a series of its own. */
async function live({ httpUrl, grpcAddress, redis, databaseUrl, consumer }: TestSystem): Promise<void> {
  await consumer.stop();
  await addClosedDay(databaseUrl);
  await consumer.start();
  assert.equal(await streamUntilEnded(grpcAddress), status.UNAVAILABLE);
  const push = (deviceId: string, message: string) =>
    fetch(`${httpUrl}/fleetlog.v1.IngestService/PushLogs`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({
        batch: { deviceId, sessionId: "boot-1", sequence: "1", records: [{ message }, { message: "b" }] },
      }),
    });
  const pushUntil = (outcome: string, status: number) =>
    waitFor(outcome, async () => {
      const response = await push("device-2", "refused");
      await response.arrayBuffer();
      return response.status === status;
    });
  for (const message of ["a", "a", "not the same", "NUL \u0000"]) {
    assert.equal((await push("device-1", message)).status, 200);
  }
  assert.equal((await push("device?", "bad name")).status, 400);
  const client = new Client({ connectionString: databaseUrl });
  await client.connect();
  await waitFor("everything stored", async () => {
    const { rows } = await client.query("select count(*)::int as letters from dead_letters");
    return rows[0].letters === 1;
  });
  await interruptFlush(client, () => push("device-3", "stored in the second attempt"));
  await client.end();
  await waitFor("the consumer's own look at the database", async () => {
    const seen = await scrape([consumer.addresses.admin ?? ""]);
    return (
      seen.get("fleetlog_devices")?.get("seen")?.has("1h") && seen.has("fleetlog_oldest_entry_age_seconds")
    );
  });
  assert.equal((await fetch(`${httpUrl}/v1/logs?page_size=5`)).status, 200);
  assert.equal((await fetch(`${httpUrl}/v1/logs?page_size=five`)).status, 400);

  await (await fetch(`${httpUrl}/v1/export`)).arrayBuffer();
  const closed = "end_time=2026-01-01T00:00:00Z";
  for (const _again of [1, 2]) await (await fetch(`${httpUrl}/v1/logs?${closed}`)).arrayBuffer();

  const admin = new Redis(redis.url);
  await admin.xgroup("DESTROY", streamKey(0), groupName);
  await waitFor("the consumer to miss its group", async () =>
    (await scrape([consumer.addresses.admin ?? ""])).has("fleetlog_stream_losses_total"),
  );
  await admin.config("SET", "maxmemory", "1");
  await pushUntil("a full Redis to refuse", 429);
  await admin.config("SET", "maxmemory", "0");
  await admin.config("SET", "appendfsync", "everysec");
  await pushUntil("an unsafe Redis to be refused", 503);
  admin.disconnect();
}

async function addClosedDay(databaseUrl: string): Promise<void> {
  const pool = new Pool({ connectionString: databaseUrl });
  const db = new Kysely<Database>({ dialect: new PostgresDialect({ pool }) });
  await ensurePartitions(db, { now: new Date(), daysAhead: 0, daysBack: 2 });
  await db.destroy();
}

/** A stream until the server ends it, because it is old. */
async function streamUntilEnded(address: string): Promise<status> {
  const client = new GrpcClient(address, credentials.createInsecure());
  const path = "/fleetlog.v1.IngestService/StreamLogs";
  const call = client.makeBidiStreamRequest(path, unchanged, unchanged, new Metadata()).resume();
  const code = await new Promise<status>((resolve) =>
    call.on("error", ({ code }: { code: status }) => resolve(code)),
  );
  client.close();
  return code;
}

function unchanged(bytes: Buffer): Buffer {
  return bytes;
}

/** Breaks the connection of a flush in flight. */
async function interruptFlush(client: Client, push: () => Promise<unknown>): Promise<void> {
  await client.query("begin; lock table log_statistics in access exclusive mode");
  await push();
  await waitFor("a flush that waits for the lock, ended", async () => {
    const { rowCount } = await client.query(
      `select pg_terminate_backend(pid) from pg_locks join pg_database on pg_database.oid = database
        where datname = current_database() and not granted`,
    );
    return rowCount;
  });
  await client.query("commit");
  await waitFor("the second attempt", async () => {
    const { rowCount } = await client.query("select from devices where device_id = 'device-3'");
    return rowCount;
  });
}
