import assert from "node:assert/strict";
import { test } from "node:test";
import { readConfig } from "./config.ts";

const wanted = { DATABASE_URL: "postgres://localhost/fleetlog", REDIS_URL: "redis://localhost:6379" };

test("requires only the addresses of PostgreSQL and Redis", () => {
  const config = readConfig(wanted);
  assert.equal(config.shards, 4);
  assert.equal(config.flushRecordsMax, 20_000);
  assert.equal(config.flushBytesMax, 4 * 1024 * 1024);
  assert.match(config.consumerName, /^.+-\d+$/);
});

test("lists every invalid variable", () => {
  assert.throws(
    () => readConfig({ REDIS_URL: "http://x", FLUSH_RECORDS_MAX: "9999", CONSUMER_NAME: "a b" }),
    /4 problem\(s\)[^]*DATABASE_URL=\(not set\)[^]*REDIS_URL="http:\/\/x"[^]*CONSUMER_NAME="a b"[^]*FLUSH_RECORDS_MAX="9999"/,
  );
});

test("refuses to take over entries from consumers that may still be storing them", () => {
  assert.throws(
    () => readConfig({ ...wanted, STATEMENT_TIMEOUT_MS: "30000", RECLAIM_IDLE_MS: "60000" }),
    /RECLAIM_IDLE_MS=60000: expected at least 3 × STATEMENT_TIMEOUT_MS \(30000\)/,
  );
});

test("keeps everything forever by default; unset retention follows that of the records", () => {
  assert.deepEqual(readConfig(wanted).retentionDays, {
    records: 0,
    ledger: 0,
    statistics: 0,
    deadLetters: 0,
    incidents: 0,
  });
  const followers = { ledger: 530, statistics: 500, deadLetters: 500, incidents: 500 };
  assert.deepEqual(readConfig({ ...wanted, RETENTION_DAYS: "500" }).retentionDays, {
    records: 500,
    ...followers,
  });
  const own = { ...wanted, RETENTION_DAYS: "7", LEDGER_RETENTION_DAYS: "7", INCIDENT_RETENTION_DAYS: "0" };
  assert.deepEqual(readConfig(own).retentionDays, {
    records: 7,
    ledger: 7,
    statistics: 400,
    deadLetters: 90,
    incidents: 0,
  });
});

test("refuses records that would outlive their ledger or statistics", () => {
  assert.throws(
    () =>
      readConfig({
        ...wanted,
        RETENTION_DAYS: "30",
        LEDGER_RETENTION_DAYS: "29",
        STATISTICS_RETENTION_DAYS: "1",
      }),
    /2 problem[^]*LEDGER_RETENTION_DAYS=29: expected 0 or at least RETENTION_DAYS \(30\)[^]*STATISTICS_RETENTION_DAYS=1/,
  );
  assert.throws(
    () => readConfig({ ...wanted, LEDGER_RETENTION_DAYS: "30" }),
    /LEDGER_RETENTION_DAYS=30: expected 0 or at least RETENTION_DAYS \(0, forever\)/,
  );
});
