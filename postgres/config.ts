import { type Env, logLevel, readEnv, url } from "#lib/config.ts";

/** What the migrate program needs. Throws a ConfigError that lists every problem. */
export function readConfig(env: Env) {
  return readEnv({ DATABASE_URL: url(["postgres", "postgresql"]), LOG_LEVEL: logLevel }, env);
}
