import assert from "node:assert/strict";
import { test } from "node:test";
import { readConfig } from "./config.ts";

const wanted = { DATABASE_URL: "postgres://localhost/fleetlog", REDIS_URL: "redis://localhost:6379" };

test("needs nothing but the addresses of PostgreSQL and Redis", () => {
  const config = readConfig(wanted);
  assert.equal(config.STREAM_SHARDS, 4);
  assert.equal(config.FLUSH_RECORDS_MAX, 20_000);
  assert.equal(config.FLUSH_BYTES_MAX, 4 * 1024 * 1024);
  assert.match(config.CONSUMER_NAME, /^.+-\d+$/);
});

test("lists everything that is wrong", () => {
  assert.throws(
    () => readConfig({ REDIS_URL: "http://x", FLUSH_RECORDS_MAX: "9999", CONSUMER_NAME: "a b" }),
    /4 problem\(s\)[^]*DATABASE_URL=\(not set\)[^]*REDIS_URL="http:\/\/x"[^]*CONSUMER_NAME="a b"[^]*FLUSH_RECORDS_MAX="9999"/,
  );
});

test("refuses to take over entries from consumers that may still be storing them", () => {
  assert.throws(
    () => readConfig({ ...wanted, STATEMENT_TIMEOUT_MS: "30000", RECLAIM_IDLE_MS: "60000" }),
    /RECLAIM_IDLE_MS=60000: wanted at least 3 × STATEMENT_TIMEOUT_MS \(30000\)/,
  );
});
