import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { execa } from "execa";
import { Client } from "pg";
import { projectFolder } from "#dev/folders.ts";
import { freePort } from "#dev/free-port.ts";
import { type RunningPostgres, startPostgres } from "#dev/postgres.ts";
import { migrateToLatest } from "#postgres/migrate.ts";
import { storeRecords } from "#postgres/testing/store-records.ts";
import { groupName, streamKey } from "#stream/keys.ts";
import { restartableRedis } from "#stream/testing/restartable-redis.ts";
import { TestCa, writeCertificate } from "#test/support/certificates.ts";
import { startRedis } from "#test/support/redis.ts";
import { startSystem, type TestSystem } from "#test/support/system.ts";
import type { Finding } from "./finding.ts";

// The doctor as a program, against real processes, with every check made to fail.

const folder = mkdtempSync(join(tmpdir(), "fleetlog-doctor-"));
after(() => rmSync(folder, { recursive: true }));

describe("on a healthy system", () => {
  let system: TestSystem;
  before(async () => {
    const tls = writeCertificate(join(folder, "server"), new TestCa().issue("server", { days: 90 }));
    system = await startSystem({
      servers: 1,
      nginxSettings: { tls: { listen: `127.0.0.1:${await freePort()}`, ...tls } },
    });
  });
  after(() => system[Symbol.asyncDispose]());

  test("it finds nothing wrong, and lists its checks", async () => {
    const { findings, exitCode } = await examine(toEnv(system));
    assert.deepEqual(
      findings.filter(({ state }) => state === "fail"),
      [],
    );
    assert.equal(exitCode, 0);
    const checks = new Set(findings.filter(({ state }) => state === "ok").map(({ check }) => check));
    for (const check of [
      "node.version",
      "redis.version",
      "redis.settings",
      "redis.streams",
      "redis.backlog",
      "redis.losses",
      "clock.redis",
      "postgres.fsync",
      "postgres.migrations",
      "postgres.partitions",
      "clock.postgres",
      "nginx.streams",
      "nginx.version",
      `http ${system.nginx.http}`,
      `grpc ${system.nginx.grpc}`,
      `tls ${system.nginx.tls}`,
      `ready ${system.gateway.addresses.http}`,
    ]) {
      assert.ok(checks.has(check), `${check}: ${JSON.stringify(findings, undefined, 1)}`);
    }
  });

  test("an unreachable dependency is named with its reason, and the other checks still run", async () => {
    const closed = `127.0.0.1:${await freePort()}`;
    const { findings, exitCode } = await examine({
      ...toEnv(system),
      REDIS_URL: `redis://${closed}`,
      DOCTOR_READY: closed,
      DOCTOR_HTTP: closed,
      DOCTOR_GRPC: closed,
      DOCTOR_NGINX_CONF: join(folder, "nowhere.conf"),
      DOCTOR_DISKS: join(folder, "nowhere"),
    });
    assert.equal(exitCode, 1);
    const failed = findings.filter(({ state }) => state === "fail").map(({ check }) => check);
    assert.deepEqual(
      failed.toSorted(),
      [
        "nginx",
        "redis",
        "redis.streams",
        `disk ${join(folder, "nowhere")}`,
        `grpc ${closed}`,
        `http ${closed}`,
        `ready ${closed}`,
      ].toSorted(),
    );
    assert.ok(findings.some(({ check, state }) => check === "postgres.fsync" && state === "ok"));
    const found = (wanted: string) => findings.find(({ check }) => check === wanted)?.found;
    assert.deepEqual(
      [found("redis"), found("redis.streams")],
      ["Redis is unreachable", "Redis is unreachable"],
    );
  });

  test("as text it is a line per finding, and the fix below", async () => {
    const env = { ...toEnv(system), DOCTOR_NGINX_VERSION: "1.18.0" };
    const { stdout, exitCode } = await run(env);
    assert.match(stdout, /^✓ ok {4}redis\.settings +acknowledged batches are on disk$/m);
    assert.match(stdout, /^✗ fail {2}nginx\.version +1\.18\.0\n {8}Use Nginx 1\.22 or later\.$/m);
    assert.match(stdout, /\d+ ok, \d+ warnings, 1 failures\n?$/);
    assert.equal(exitCode, 1);
  });

  test("an old certificate and a bad nginx.conf are found", async () => {
    const conf = join(folder, "nginx.conf");
    const text = readFileSync(system.nginx.configFile, "utf8")
      .replace("grpc_pass grpc://ingest_http2;", "proxy_pass http://ingest_http;")
      .replaceAll("client_max_body_size 0;", "")
      .replaceAll(/\w+_(read|send|body)_timeout 3600s;/g, "")
      .replaceAll(/proxy_(request_)?buffering off;/g, "")
      .replaceAll(/keepalive_requests \d+;/g, "")
      .replace("grpc_next_upstream error timeout;", "grpc_next_upstream error timeout non_idempotent;");
    writeFileSync(conf, text);
    writeCertificate(join(folder, "server"), new TestCa().issue("server", { days: 3 }));
    process.kill(system.nginx.pid, "SIGHUP");
    const { findings } = await until({ ...toEnv(system), DOCTOR_NGINX_CONF: conf }, (found) =>
      found.some(({ check, state }) => check.startsWith("tls") && state === "warn"),
    );
    const complaints = new Set(findings.filter(({ state }) => state !== "ok").map(({ check }) => check));
    for (const name of [
      "client_max_body_size",
      "client_body_timeout",
      "grpc_read_timeout",
      "grpc_send_timeout",
      "proxy_read_timeout",
      "proxy_request_buffering",
      "proxy_buffering",
      "grpc_next_upstream",
      "keepalive_requests",
    ]) {
      assert.ok(complaints.has(`nginx.${name}`), name);
    }
  });
});

describe("on settings that endanger data", () => {
  let postgres: RunningPostgres;
  before(async () => {
    postgres = await startPostgres(folder, {
      fsync: "off",
      full_page_writes: "off",
      synchronous_commit: "off",
      autovacuum: "off",
      timezone: "Europe/Berlin",
      shared_buffers: "16MB",
      max_wal_size: "64MB",
      max_connections: "15",
    });
  });
  after(() => postgres.stop());

  test("every bad setting of Redis is a finding, and so is a full one", async () => {
    await using redis = await startRedis({
      appendfsync: "everysec",
      "maxmemory-policy": "allkeys-lru",
      save: "3600 1",
      maxmemory: "1mb",
    });
    const { findings, exitCode } = await examine({ DATABASE_URL: postgres.url, REDIS_URL: redis.url });
    const bad = findings.filter(({ check }) => check === "redis.settings");
    assert.deepEqual(
      bad.map(({ state, found }) => `${state} ${/Redis: (\S+)/.exec(found)?.[1]}`).toSorted(),
      ["fail appendfsync", "fail maxmemory-policy", "fail save"],
    );
    assert.equal(findState(findings, "redis.memory"), "fail");
    assert.equal(exitCode, 1);
  });

  test("warns of a Redis without a limit, and of one above its machine's memory", async () => {
    for (const maxmemory of ["0", "1024gb"]) {
      await using redis = await startRedis({ maxmemory });
      const { findings } = await examine({ DATABASE_URL: postgres.url, REDIS_URL: redis.url });
      assert.equal(findState(findings, "redis.memory"), "warn", maxmemory);
    }
  });

  test("every bad setting of PostgreSQL, and what its tables lack", async () => {
    await using redis = await startRedis();
    const env = { DATABASE_URL: postgres.url, REDIS_URL: redis.url };
    const unmigrated = await examine(env);
    assert.equal(findState(unmigrated.findings, "postgres.migrations"), "fail");
    for (const [name, state] of [
      ["fsync", "fail"],
      ["full_page_writes", "fail"],
      ["synchronous_commit", "warn"],
      ["autovacuum", "warn"],
      ["timezone", "warn"],
      ["shared_buffers", "warn"],
      ["max_wal_size", "warn"],
      ["connections", "warn"],
    ] as const) {
      assert.equal(findState(unmigrated.findings, `postgres.${name}`), state, name);
    }

    await migrateToLatest(postgres.url);
    assert.equal(findState((await examine(env)).findings, "postgres.partitions"), "ok");
    const client = new Client({ connectionString: postgres.url });
    await client.connect();
    try {
      const { rows } = await client.query<{ name: string }>(
        "select relid::regclass::text as name from pg_partition_tree('record_batches') where isleaf and relid <> 'record_batches_default'::regclass",
      );
      for (const { name } of rows) await client.query(`drop table ${name}`);
      await client.query(storeRecords("select 1, 0, now(), 9, '', 'x'"));
    } finally {
      await client.end();
    }
    const { findings } = await examine(env);
    assert.equal(findState(findings, "postgres.partitions"), "fail");
    assert.equal(findState(findings, "postgres.default_partition"), "warn");
  });

  test("a stream behind PostgreSQL's positions, an impossible lag, and losses of the last day", async (t) => {
    await migrateToLatest(postgres.url);
    const redis = await restartableRedis(t);
    const key = streamKey(0);
    await redis.client().xgroup("CREATE", key, groupName, "0", "MKSTREAM");
    const read = async () => {
      const id = await redis.client().xadd(key, "*", "a", "b");
      await redis.client().xreadgroup("GROUP", groupName, "c", "STREAMS", key, ">");
      await redis.client().xack(key, groupName, id ?? "");
    };
    await read();
    await redis.rewriteFile();
    for (let n = 0; n < 5; n++) await read();
    await redis.killAndRestart();
    const client = new Client({ connectionString: postgres.url });
    await client.connect();
    t.after(() => client.end());
    await client.query(`insert into stream_positions values (0, 'p', 'e', '9-0', 100, '9-0', 0)`);
    await client.query(`insert into incidents (kind, details) values ('entries_lost', '{}')`);
    const { findings } = await examine({ DATABASE_URL: postgres.url, REDIS_URL: redis.url() });
    assert.equal(findState(findings, "redis.streams"), "fail");
    assert.equal(findState(findings, "redis.backlog"), "warn");
    assert.equal(findState(findings, "redis.losses"), "warn");
    const backlog = findings.find(({ check }) => check === "redis.backlog");
    assert.match(backlog?.found ?? "", /^0 entries wait to be stored, and Redis reports [1-9]/);
  });

  test("no connection left", async () => {
    await using redis = await startRedis();
    const clients: Client[] = [];
    try {
      for (let count = 0; count < 10; count += 1) {
        const client = new Client({ connectionString: postgres.url });
        clients.push(client);
        await client.connect();
      }
      const { findings } = await examine({ DATABASE_URL: postgres.url, REDIS_URL: redis.url });
      assert.equal(findState(findings, "postgres.connections"), "fail");
    } finally {
      await Promise.all(clients.map((client) => client.end()));
    }
  });
});

test("names the variables it needs", async () => {
  const { stderr, exitCode } = await run({ REDIS_URL: "http://x" });
  assert.equal(exitCode, 1);
  assert.match(stderr, /DATABASE_URL=\(not set\)[^]*REDIS_URL="http:\/\/x"/);
});

function toEnv({
  databaseUrl,
  redis,
  servers,
  consumer,
  gateway,
  nginx,
}: TestSystem): Record<string, string> {
  const ready = [...servers, consumer, gateway].map(({ addresses }) => addresses.admin ?? addresses.http);
  return {
    DATABASE_URL: databaseUrl,
    REDIS_URL: redis.url,
    DOCTOR_READY: ready.join(","),
    DOCTOR_HTTP: nginx.http,
    DOCTOR_GRPC: nginx.grpc,
    DOCTOR_NGINX_VERSION: nginx.version,
    DOCTOR_NGINX_CONF: nginx.configFile,
    DOCTOR_DISKS: folder,
  };
}

test("prints help, and errors for wrong options, without a configuration", async () => {
  const help = await run({}, "--help");
  assert.equal(help.exitCode, 0);
  assert.match(help.stdout, /^Usage: fleetlog doctor \[--json\]/);
  const wrong = await run({}, "--jsn");
  assert.equal(wrong.exitCode, 2);
  assert.match(wrong.stderr, /^Unknown option '--jsn'[^]*Usage: fleetlog doctor/);
});

function run(env: Readonly<Record<string, string>>, ...args: readonly string[]) {
  return execa(process.execPath, [join(projectFolder, "doctor/main.ts"), ...args], {
    env,
    reject: false,
    timeout: 60_000,
  });
}

async function examine(env: Readonly<Record<string, string>>) {
  const { stdout, stderr, exitCode } = await run(env, "--json");
  const report = JSON.parse(stdout || assert.fail(stderr)) as { ok: boolean; findings: readonly Finding[] };
  assert.equal(report.ok, exitCode === 0);
  for (const { state, fix } of report.findings) assert.equal(fix === undefined, state === "ok");
  return { findings: report.findings, exitCode };
}

async function until(
  env: Readonly<Record<string, string>>,
  isThere: (findings: readonly Finding[]) => boolean,
) {
  for (let attempt = 1; ; attempt += 1) {
    const seen = await examine(env);
    if (isThere(seen.findings)) return seen;
    assert.ok(attempt < 10, JSON.stringify(seen.findings));
  }
}

function findState(findings: readonly Finding[], check: string): string | undefined {
  return findings.find((finding) => finding.check === check)?.state;
}
