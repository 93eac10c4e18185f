import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import type { z } from "zod";
import { readConfig as readConsumerConfig } from "#consumer/config.ts";
import { readConfig as readGatewayConfig } from "#gateway/config.ts";
import { ConfigError, readShape } from "#lib/config.ts";
import { readConfig as readNginxConfig } from "#nginx/config.ts";
import { readConfig as readServerConfig } from "#server/config.ts";
import { projectFolder } from "./folders.ts";
import { describeIgnored, passedOn, readStartSettings } from "./start-settings.ts";

const programs = { server: readServerConfig, consumer: readConsumerConfig, gateway: readGatewayConfig };
const shapes = Object.values({ ...programs, nginx: readNginxConfig }).map(readShape);

/** A valid value of each setting without a default. */
const values: Readonly<Record<string, string>> = {
  CORS_ORIGINS: "https://logs.example.com",
  INGEST_CORS_ORIGINS: "https://app.example.com",
  DATABASE_READ_URL: "postgres://127.0.0.1:5432/fleetlog",
  LEDGER_RETENTION_DAYS: "0",
  STATISTICS_RETENTION_DAYS: "0",
  DEAD_LETTER_RETENTION_DAYS: "400",
  INCIDENT_RETENTION_DAYS: "400",
  NGINX_WORKER_PROCESSES: "2",
  NGINX_CALLS_PER_SECOND_MAX: "100",
  NGINX_ACCESS_LOG: "/tmp/access.log",
  POSTGRES_SHARED_BUFFERS: "64MB",
  POSTGRES_MAX_WAL_SIZE: "1GB",
  REDIS_MAXMEMORY: "100mb",
  SERVER_REPLICAS: "3",
  CONSUMER_REPLICAS: "2",
};

/** Read by dev/start.ts, chosen by it, or of a container. */
const others = new Set(
  (
    "ALLOWED_HOSTS TLS_CERT TLS_KEY TLS_CLIENT_CA TLS_CLIENT_CERT_FOR TLS_SERVES TLS_LISTEN " +
    "DATABASE_URL REDIS_URL ADMIN_LISTEN GRPC_LISTEN HTTP_LISTEN CONSUMER_NAME " +
    "OTLP_GRPC_LISTEN OTLP_HTTP_LISTEN NGINX_CONFIG_FILE NGINX_FOLDER NGINX_VERSION NGINX_RESOLVER SERVER_GRPC SERVER_HTTP GATEWAY_HTTP"
  ).split(" "),
);

test("every setting of a program is passed on, or npm start has a reason not to", () => {
  const names = new Set(shapes.flatMap((shape) => Object.keys(shape)));
  assert.deepEqual(
    [...names].filter((name) => !passedOn.includes(name) && !others.has(name)),
    [],
  );
});

describe("npm start passes on", () => {
  for (const name of passedOn) {
    const value = values[name] ?? defaultOf(name);

    test(`${name}=${value}`, () => {
      const settings = readStartSettings({ [name]: value });
      const given = JSON.stringify(settings);
      assert.notEqual(given, JSON.stringify(readStartSettings({})), "it makes no difference");
      for (const [program, readConfig] of Object.entries(programs)) {
        const isOf = Object.hasOwn(readShape(readConfig), name);
        const env = settings.env[program as keyof typeof programs];
        assert.equal(env[name], isOf ? value : undefined, program);
      }
    });

    test(`no wrong ${name}`, () => {
      assert.throws(
        () => readStartSettings({ [name]: '" \0' }),
        (error) => error instanceof ConfigError && error.problems.every((line) => line.startsWith(name)),
      );
    });
  }
});

test("a bad relation of settings, and all bad ones, are named before anything is started", () => {
  assert.throws(() => readStartSettings({ RECLAIM_IDLE_MS: "4000" }), /at least 3 × STATEMENT_TIMEOUT_MS/);
  assert.throws(
    () => readStartSettings({ TAILS_MAX: "x", FLUSH_INTERVAL_MS: "0", REDIS_MAXMEMORY: "much" }),
    (error) => error instanceof ConfigError && error.problems.length === 3,
  );
});

test("a setting of .env.example that npm start does not use is named", () => {
  const example = readFileSync(join(projectFolder, ".env.example"), "utf8");
  const documented = [...example.matchAll(/^# ([A-Z][A-Z0-9_]*)=/gm)].map(([, name = ""]) => name);
  const ignored = documented.filter(
    (name) => name === "NGINX_VERSION" || (!passedOn.includes(name) && !others.has(name)),
  );
  assert.ok(ignored.includes("HTTP_PORT") && ignored.length < documented.length / 2);
  for (const name of documented) {
    const lines = describeIgnored({ [name]: "x" });
    assert.deepEqual(
      lines.map((line) => line.split(" ")[0]),
      ignored.includes(name) ? [name] : [],
    );
  }
});

function defaultOf(name: string): string {
  const schema = shapes.map((shape) => shape[name]).find((found) => found !== undefined);
  const { defaultValue } = (schema as z.ZodType).def as unknown as { defaultValue?: string };
  assert.equal(typeof defaultValue, "string", `give a value for ${name}`);
  return String(defaultValue);
}
