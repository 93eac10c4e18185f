import { type Env, integer, listenAddress, logLevel, readEnv, url } from "#lib/config.ts";

const mebibyte = 1024 * 1024;

/** What the ingest server is told by its environment. Throws a ConfigError that lists every bad variable. */
export function readConfig(env: Env) {
  const values = readEnv(
    {
      LOG_LEVEL: logLevel,
      ADMIN_LISTEN: listenAddress().prefault("127.0.0.1:9101"),
      GRPC_LISTEN: listenAddress().prefault("127.0.0.1:50061"),
      HTTP_LISTEN: listenAddress().prefault("127.0.0.1:8081"),
      REDIS_URL: url(["redis", "rediss"]).prefault("redis://127.0.0.1:6379"),
      STREAM_SHARDS: integer(1, 1_024).prefault("4"),
      IN_FLIGHT_MEBIBYTES_MAX: integer(8, 4_096).prefault("128"),
    },
    env,
  );
  return Object.freeze({
    logLevel: values.LOG_LEVEL,
    adminListen: values.ADMIN_LISTEN,
    grpcListen: values.GRPC_LISTEN,
    httpListen: values.HTTP_LISTEN,
    redisUrl: values.REDIS_URL,
    shards: values.STREAM_SHARDS,
    inFlightBatchesMax: 100_000,
    inFlightBytesMax: values.IN_FLIGHT_MEBIBYTES_MAX * mebibyte,
  });
}

export type Config = ReturnType<typeof readConfig>;
