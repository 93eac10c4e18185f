import { z } from "zod";
import { allowedHosts } from "#lib/allowed-hosts.ts";
import { allowedOrigins } from "#lib/allowed-origins.ts";
import { type Env, integer, listenAddress, logLevel, readEnv, urls, word } from "#lib/config.ts";
import { streamShards } from "#stream/settings.ts";

const mebibyte = 1024 * 1024;

/** Reads the ingest server's configuration. Throws a ConfigError that lists every bad variable. */
export function readConfig(env: Env) {
  const values = readEnv(
    {
      LOG_LEVEL: logLevel,
      ADMIN_LISTEN: listenAddress().prefault("127.0.0.1:9101"),
      GRPC_LISTEN: listenAddress().prefault("127.0.0.1:50061"),
      HTTP_LISTEN: listenAddress().prefault("127.0.0.1:8081"),
      ALLOWED_HOSTS: allowedHosts(),
      REDIS_URL: urls(["redis", "rediss"]).prefault("redis://127.0.0.1:6379"),
      STREAM_SHARDS: streamShards,
      REDIS_MEMORY_PERCENT_MAX: integer(20, 99).prefault("80"),
      BACKLOG_ENTRIES_MAX: integer(100, 1_000_000_000).prefault("2000000"),
      STREAM_AGE_SECONDS_MAX: integer(1, 86_400).prefault("3600"),
      CLOCK_SKEW_SECONDS_MAX: integer(1, 3_600).prefault("60"),
      INGEST_CORS_ORIGINS: allowedOrigins().optional(),
      HEARTBEAT_SECONDS: integer(1, 3_600).prefault("30"),
      GRPC_FAST_PATH: word("on", "off").prefault("on"),
      OTLP_DEVICE_ATTRIBUTES: attributeNames().prefault(
        "service.instance.id,host.id,device.id,host.name,service.name",
      ),
      OTLP_RETRIES: word("recognise", "store").prefault("recognise"),
      CUT_TEXT: word("repair", "reject").prefault("repair"),
      IN_FLIGHT_MEBIBYTES_MAX: integer(8, 4_096).prefault("128"),
      BODY_SECONDS_MAX: integer(1, 3_600).prefault("120"),
    },
    env,
  );
  return Object.freeze({
    logLevel: values.LOG_LEVEL,
    adminListen: values.ADMIN_LISTEN,
    grpcListen: values.GRPC_LISTEN,
    httpListen: values.HTTP_LISTEN,
    allowedHosts: values.ALLOWED_HOSTS,
    redisUrls: values.REDIS_URL,
    shards: values.STREAM_SHARDS,
    memoryPercentMax: values.REDIS_MEMORY_PERCENT_MAX,
    backlogEntriesMax: values.BACKLOG_ENTRIES_MAX,
    streamAgeMsMax: values.STREAM_AGE_SECONDS_MAX * 1_000,
    clockSkewMsMax: values.CLOCK_SKEW_SECONDS_MAX * 1_000,
    grpcFastPath: values.GRPC_FAST_PATH === "on",
    otlp: {
      deviceAttributes: values.OTLP_DEVICE_ATTRIBUTES,
      recogniseRetries: values.OTLP_RETRIES === "recognise",
    },
    rejectsCutText: values.CUT_TEXT === "reject",
    /** Origins of pages that may send; none by default. */
    corsOrigins: values.INGEST_CORS_ORIGINS ?? [],
    heartbeatMs: values.HEARTBEAT_SECONDS * 1_000,
    inFlightBatchesMax: 100_000,
    inFlightBytesMax: values.IN_FLIGHT_MEBIBYTES_MAX * mebibyte,
    bodyMsMax: values.BODY_SECONDS_MAX * 1_000,
  });
}

/** Names of attributes, separated by commas. */
function attributeNames() {
  const form = 'expected 1 to 20 names of attributes, comma-separated, such as "host.id,host.name"';
  return z
    .string(form)
    .regex(/^[\w.:/-]{1,128}(,[\w.:/-]{1,128}){0,19}$/, form)
    .transform((value) => value.split(","));
}

export type Config = ReturnType<typeof readConfig>;
