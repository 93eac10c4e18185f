import { type Env, readEnv, url, urls } from "#lib/config.ts";
import { streamShards } from "#stream/settings.ts";

/**
 * Reads the configuration of the operator's commands, the consumer's variables. Throws a ConfigError that
 * lists every problem.
 */
export function readConfig(env: Env) {
  return readEnv(
    {
      DATABASE_URL: url(["postgres", "postgresql"]),
      REDIS_URL: urls(["redis", "rediss"]).optional(),
      STREAM_SHARDS: streamShards,
    },
    env,
  );
}
