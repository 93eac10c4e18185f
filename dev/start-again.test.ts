import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { execa } from "execa";
import { Redis } from "ioredis";
import { Client } from "pg";
import { waitFor } from "#test/support/wait-for.ts";
import { projectFolder } from "./folders.ts";
import { freePort } from "./free-port.ts";
import { Started } from "./testing/start-in-test.ts";

describe("npm start", () => {
  let folder: string;
  let ports: { http: number; grpc: number };
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "start-"));
    ports = { http: await freePort(), grpc: await freePort() };
  });
  after(() => rm(folder, { recursive: true, force: true }));

  const urlOf = (part: "postgres" | "redis") => readFile(join(folder, `${part}.url`), "utf8");

  test("honours the settings of programs, Nginx, PostgreSQL and Redis, and prints how to reach them", async () => {
    const accessLog = join(folder, "access.log");
    const started = new Started(folder, ports, {
      CORS_ORIGINS: "https://logs.example.com",
      ALLOWED_HOSTS: "logs.example.org",
      SERVER_REPLICAS: "1",
      NGINX_ACCESS_LOG: accessLog,
      POSTGRES_MAX_WAL_SIZE: "1GB",
      REDIS_MAXMEMORY: "200mb",
      HTTP_PORT: "81",
    });
    await started.up();
    assert.match(started.output, /^HTTP_PORT is a setting of docker-compose.yml/m);
    assert.doesNotMatch(started.output, /Ingest server 2/);
    const response = await fetch(`http://127.0.0.1:${ports.http}/v1/logs`, {
      headers: { origin: "https://logs.example.com" },
    });
    assert.equal(response.headers.get("access-control-allow-origin"), "https://logs.example.com");
    await waitFor("the access log", () => existsSync(accessLog));

    const redis = new Redis(await urlOf("redis"));
    assert.deepEqual(await redis.config("GET", "maxmemory"), ["maxmemory", String(200 * 1024 * 1024)]);
    redis.disconnect();
    const database = new Client({ connectionString: await urlOf("postgres") });
    await database.connect();
    const { rows } = await database.query<{ max_wal_size: string }>("show max_wal_size");
    assert.equal(rows[0]?.max_wal_size, "1GB");
    await database.end();
    const [psql] = started.commands("psql");
    assert.match(psql ?? "", /^psql "\$\(cat '.*postgres\.url'\)"/);
    assert.equal(started.commands("redis-cli").length, 1);

    // The operator's commands find this database without being given one.
    const { DATABASE_URL: _, ...env } = process.env;
    for (const command of [
      ["dead-letters", "list"],
      ["retention", "show"],
    ]) {
      const done = await execa("node", [join(projectFolder, "client/fleetlog.mjs"), ...command], {
        env: { ...env, FLEETLOG_FOLDER: folder },
        extendEnv: false,
      });
      assert.equal(done.exitCode, 0);
    }
    await stop(started);
    assert.ok(!existsSync(join(folder, "postgres.url")));
  });

  test("keeps the ports of PostgreSQL and Redis, and replaces a taken one with a line that says so", async () => {
    const kept = JSON.parse(await readFile(join(folder, "ports.json"), "utf8")) as Record<string, number>;
    const other = createServer().listen(kept["redis"], "127.0.0.1");
    const started = new Started(folder, ports, { SERVER_REPLICAS: "1" });
    await started.up();
    other.close();
    const postgres = new URL(await urlOf("postgres"));
    const redis = new URL(await urlOf("redis"));
    assert.equal(postgres.port, String(kept["postgres"]));
    assert.notEqual(redis.port, String(kept["redis"]));
    const line = `Port ${kept["redis"]} is in use by another program: Redis has port ${redis.port}, from now on.`;
    assert.ok(started.output.includes(line), started.output);
    await stop(started);
    const next = JSON.parse(await readFile(join(folder, "ports.json"), "utf8")) as Record<string, number>;
    assert.deepEqual(next, { postgres: kept["postgres"], redis: Number(redis.port) });
  });

  test("names every bad setting before it starts anything", async () => {
    const started = new Started(folder, ports, { HEARTBEAT_SECONDS: "0", TAILS_MAX: "many" });
    assert.equal(await started.ended, 1);
    assert.match(started.output, /HEARTBEAT_SECONDS="0": expected an integer from 1 to 3600/);
    assert.match(started.output, /TAILS_MAX="many": expected an integer from 1 to 100000/);
    assert.doesNotMatch(started.output, /✓/);
  });
});

async function stop(started: Started): Promise<void> {
  started.process.kill("SIGINT");
  assert.equal(await started.ended, 0);
}
