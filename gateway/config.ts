import { type Env, integer, listenAddress, logLevel, readEnv, url } from "#lib/config.ts";

/** What the gateway is told by its environment. Throws one `ConfigError` that lists every bad variable. */
export function readConfig(env: Env) {
  const read = readEnv(
    {
      LOG_LEVEL: logLevel,
      HTTP_LISTEN: listenAddress().prefault("127.0.0.1:0"),
      DATABASE_URL: postgresUrl(),
      DATABASE_READ_URL: postgresUrl().optional(),
      DATABASE_CONNECTIONS_MAX: integer(1, 200).prefault("10"),
      QUERY_TIMEOUT_MS: integer(100, 600_000).prefault("5000"),
    },
    env,
  );
  return Object.freeze({
    logLevel: read.LOG_LEVEL,
    listen: read.HTTP_LISTEN,
    /** Only reads: a replica will do. */
    databaseUrl: read.DATABASE_READ_URL ?? read.DATABASE_URL,
    connectionsMax: read.DATABASE_CONNECTIONS_MAX,
    queryTimeoutMs: read.QUERY_TIMEOUT_MS,
  });
}

export type Config = ReturnType<typeof readConfig>;

function postgresUrl() {
  return url(["postgres", "postgresql"]);
}
