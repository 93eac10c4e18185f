import { hostname } from "node:os";
import { z } from "zod";
import { limits } from "#batch/limits.ts";
import { allowedHosts } from "#lib/allowed-hosts.ts";
import { ConfigError, type Env, integer, listenAddress, logLevel, readEnv, url, urls } from "#lib/config.ts";
import { streamShards } from "#stream/settings.ts";
import { readRetentionDays, retentionShape } from "./maintenance/retention-days.ts";

export type Config = ReturnType<typeof readConfig>;

/** Reads the consumer's configuration. Throws a ConfigError that lists every bad variable. */
export function readConfig(env: Env) {
  const values = readEnv(
    {
      LOG_LEVEL: logLevel,
      ADMIN_LISTEN: listenAddress().prefault("127.0.0.1:0"),
      ALLOWED_HOSTS: allowedHosts(),
      DATABASE_URL: url(["postgres", "postgresql"]),
      REDIS_URL: urls(["redis", "rediss"]),
      STREAM_SHARDS: streamShards,
      CONSUMER_NAME: z
        .string()
        .regex(/^[A-Za-z0-9._:-]{1,128}$/, "expected 1 to 128 of A-Z a-z 0-9 . _ : -")
        .prefault(`${hostname()}-${process.pid}`),
      FLUSH_RECORDS_MAX: integer(limits.recordsMax, 1_000_000).prefault("20000"),
      FLUSH_BYTES_MAX: integer(limits.batchBytesMax, 64 << 20).prefault(String(4 << 20)),
      FLUSH_INTERVAL_MS: integer(1, 10_000).prefault("100"),
      STATEMENT_TIMEOUT_MS: integer(1_000, 600_000).prefault("30000"),
      RECLAIM_IDLE_MS: integer(3_000, 3_600_000).prefault("90000"),
      DRAIN_TIMEOUT_MS: integer(0, 8_000).prefault("7000"),
      TAIL_WINDOW_MS: integer(0, 86_400_000).prefault("60000"),
      ...retentionShape,
    },
    env,
  );
  if (values.RECLAIM_IDLE_MS < 3 * values.STATEMENT_TIMEOUT_MS) {
    throw new ConfigError([
      `RECLAIM_IDLE_MS=${values.RECLAIM_IDLE_MS}: expected at least 3 × STATEMENT_TIMEOUT_MS (${values.STATEMENT_TIMEOUT_MS}), ` +
        "or entries of consumers that are still storing them are reclaimed",
    ]);
  }
  return Object.freeze({
    logLevel: values.LOG_LEVEL,
    adminListen: values.ADMIN_LISTEN,
    allowedHosts: values.ALLOWED_HOSTS,
    databaseUrl: values.DATABASE_URL,
    redisUrls: values.REDIS_URL,
    shards: values.STREAM_SHARDS,
    consumerName: values.CONSUMER_NAME,
    flushRecordsMax: values.FLUSH_RECORDS_MAX,
    flushBytesMax: values.FLUSH_BYTES_MAX,
    flushIntervalMs: values.FLUSH_INTERVAL_MS,
    statementTimeoutMs: values.STATEMENT_TIMEOUT_MS,
    reclaimIdleMs: values.RECLAIM_IDLE_MS,
    drainTimeoutMs: values.DRAIN_TIMEOUT_MS,
    tailWindowMs: values.TAIL_WINDOW_MS,
    retentionDays: readRetentionDays(values),
  });
}
