import { type Env, logLevel, readEnv, url } from "#lib/config.ts";

/** Reads the configuration of the migrate program. Throws a ConfigError that lists every bad variable. */
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
