import assert from "node:assert/strict";
import { test } from "node:test";
import { ConfigError } from "#lib/config.ts";
import { readConfig } from "./config.ts";

const primary = "postgres://user@db/fleetlog";

test("one variable is enough", () => {
  assert.deepEqual(readConfig({ DATABASE_URL: primary }), {
    logLevel: "info",
    listen: { host: "127.0.0.1", port: 0 },
    allowedHosts: [],
    databaseUrl: primary,
    replicaUrl: undefined,
    replicaLagMsMax: 10_000,
    connectionsMax: 10,
    heavyQueriesMax: 2,
    queryTimeoutMs: 5000,
    corsOrigins: [],
    trustedProxies: ["127.0.0.0/8", "::1"],
    exportsMax: 4,
    redisUrls: undefined,
    shards: 4,
    tailWindowMs: 60_000,
    tailsMax: 500,
  });
});

test("one error lists every bad variable", () => {
  const env = { DATABASE_READ_URL: "x", QUERY_TIMEOUT_MS: "soon", DATABASE_CONNECTIONS_MAX: "0" };
  assert.throws(
    () => readConfig(env),
    (error) => {
      assert.ok(error instanceof ConfigError);
      const names = error.problems.map((problem) => problem.split("=", 1)[0]);
      const expected = ["DATABASE_URL", "DATABASE_READ_URL", "DATABASE_CONNECTIONS_MAX", "QUERY_TIMEOUT_MS"];
      assert.deepEqual(names, expected);
      return true;
    },
  );
});

function readOrigins(CORS_ORIGINS: string) {
  return readConfig({ DATABASE_URL: primary, CORS_ORIGINS }).corsOrigins;
}

test("an origin has no path and no slash at its end", () => {
  assert.deepEqual(readOrigins("https://a.example, http://localhost:5173"), [
    "https://a.example",
    "http://localhost:5173",
  ]);
  assert.deepEqual(readOrigins("*"), ["*"]);
  for (const bad of [
    "https://a.example/",
    "a.example",
    "https://a.example;https://b.example",
    "null",
    "*.example",
  ]) {
    assert.throws(() => readOrigins(bad), /CORS_ORIGINS=.*expected comma-separated origins/, bad);
  }
});
