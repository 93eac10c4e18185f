import { z } from "zod";
import { allowedHosts } from "#lib/allowed-hosts.ts";
import { allowedOrigins } from "#lib/allowed-origins.ts";
import { type Env, integer, listenAddress, logLevel, readEnv, url, urls } from "#lib/config.ts";
import { streamShards } from "#stream/settings.ts";
import { isProxyRange } from "./http/client-name.ts";

/** Reads the gateway's environment. Throws one `ConfigError` that lists every bad variable. */
export function readConfig(env: Env) {
  const read = readEnv(
    {
      LOG_LEVEL: logLevel,
      HTTP_LISTEN: listenAddress().prefault("127.0.0.1:0"),
      ALLOWED_HOSTS: allowedHosts(),
      DATABASE_URL: postgresUrl(),
      DATABASE_READ_URL: postgresUrl().optional(),
      REPLICA_LAG_MS_MAX: integer(1_000, 3_600_000).prefault("10000"),
      DATABASE_CONNECTIONS_MAX: integer(1, 200).prefault("10"),
      HEAVY_QUERIES_MAX: integer(1, 200).prefault("2"),
      QUERY_TIMEOUT_MS: integer(100, 600_000).prefault("5000"),
      TRUSTED_PROXIES: proxies().prefault("127.0.0.0/8,::1"),
      CORS_ORIGINS: allowedOrigins().optional(),
      EXPORTS_MAX: integer(0, 100).prefault("4"),
      REDIS_URL: urls(["redis", "rediss"]).optional(),
      STREAM_SHARDS: streamShards,
      TAIL_WINDOW_MS: integer(0, 86_400_000).prefault("60000"),
      TAILS_MAX: integer(1, 100_000).prefault("500"),
    },
    env,
  );
  return Object.freeze({
    logLevel: read.LOG_LEVEL,
    listen: read.HTTP_LISTEN,
    allowedHosts: read.ALLOWED_HOSTS,
    databaseUrl: read.DATABASE_URL,
    /** A streaming replica, used while it is not further behind than this; undefined: there is none. */
    replicaUrl: read.DATABASE_READ_URL,
    replicaLagMsMax: read.REPLICA_LAG_MS_MAX,
    connectionsMax: read.DATABASE_CONNECTIONS_MAX,
    heavyQueriesMax: read.HEAVY_QUERIES_MAX,
    queryTimeoutMs: read.QUERY_TIMEOUT_MS,
    /** Origins of other sites that may read; "*" allows all. */
    corsOrigins: read.CORS_ORIGINS ?? [],
    /** Proxies whose X-Forwarded-For is trusted. */
    trustedProxies: read.TRUSTED_PROXIES,
    exportsMax: read.EXPORTS_MAX,
    /** Undefined: nothing is cached, and there is no live tail. */
    redisUrls: read.REDIS_URL,
    shards: read.STREAM_SHARDS,
    /** The consumers' setting: how long stored entries stay in the stream. */
    tailWindowMs: read.TAIL_WINDOW_MS,
    tailsMax: read.TAILS_MAX,
  });
}

function proxies() {
  const form = 'expected comma-separated addresses or ranges, such as "127.0.0.0/8,10.1.0.0/16"';
  return z
    .string(form)
    .transform((value) => value.split(",").map((one) => one.trim()))
    .refine((all) => all.every(isProxyRange), form);
}

function postgresUrl() {
  return url(["postgres", "postgresql"]);
}
