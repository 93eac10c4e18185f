import { type Env, readEnv, url, urls } from "#lib/config.ts";
import { streamShards } from "#stream/settings.ts";

/** What an operator's command needs: the consumer's own variables. Throws a ConfigError that lists every problem. */
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
