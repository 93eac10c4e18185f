import { type Env, logLevel, readEnv, url } from "#lib/config.ts";

/** What the migrate program needs. Throws a ConfigError that lists every problem. */
export function readConfig(env: Env) {
  return readEnv(
    {
      DATABASE_URL: url(["postgres", "postgresql"]),
      GATEWAY_DATABASE_URL: url(["postgres", "postgresql"])
        .regex(
          /\/\/[^:@/]+:[^@/]+@/,
          "expected with user and password, such as postgres://user:password@host:5432/name",
        )
        .optional(),
      LOG_LEVEL: logLevel,
    },
    env,
  );
}
