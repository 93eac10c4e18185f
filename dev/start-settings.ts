import { readFileSync } from "node:fs";
import { join } from "node:path";
import { readConfig as readConsumerConfig } from "#consumer/config.ts";
import { readConfig as readGatewayConfig } from "#gateway/config.ts";
import { ConfigError, type Env, integer, readEnv, readShape } from "#lib/config.ts";
import { readConfig as readNginxConfig } from "#nginx/config.ts";
import type { NginxSettings } from "#nginx/render.ts";
import { tlsShape } from "#nginx/tls-config.ts";
import { readConfig as readServerConfig } from "#server/config.ts";
import { projectFolder } from "./folders.ts";
import type { ProgramName } from "./programs.ts";

/** What the environment of `npm start` sets of the programs that it starts. */
export interface StartSettings {
  readonly env: Readonly<Record<ProgramName, Readonly<Record<string, string>>>>;
  readonly nginxSettings: Partial<NginxSettings>;
  readonly postgresSettings: Readonly<Record<string, string>>;
  readonly redisSettings: Readonly<Record<string, string>>;
  readonly servers: number;
  readonly consumers: number;
}

const programs: Readonly<Record<ProgramName, (env: Env) => unknown>> = {
  server: readServerConfig,
  consumer: readConsumerConfig,
  gateway: readGatewayConfig,
};

/** What `npm start` chooses, since it starts what these name; ALLOWED_HOSTS is one setting of all listeners. */
const chosenByStart: ReadonlySet<string> = new Set([
  "DATABASE_URL",
  "REDIS_URL",
  "ADMIN_LISTEN",
  "GRPC_LISTEN",
  "HTTP_LISTEN",
  "CONSUMER_NAME",
  "ALLOWED_HOSTS",
]);

/** Of {@link NginxSettings}, by variable. */
const nginxKeys = {
  NGINX_STREAM_IDLE_SECONDS: "streamIdleSeconds",
  NGINX_SHUTDOWN_SECONDS: "shutdownSeconds",
  NGINX_WORKER_PROCESSES: "workerProcesses",
  NGINX_WORKER_CONNECTIONS: "workerConnections",
  NGINX_CONNECTIONS_PER_ADDRESS_MAX: "connectionsPerAddressMax",
  NGINX_CALLS_PER_SECOND_MAX: "callsPerSecondMax",
  NGINX_ACCESS_LOG: "accessLogFile",
  NGINX_ACCESS_LOG_PERCENT: "accessLogPercent",
} as const satisfies Readonly<Record<string, keyof NginxSettings>>;

const postgresSize = /^\d{1,9}(kB|MB|GB)$/;
const redisSize = /^\d{1,15}([kmg]b)?$/i;

/** Of PostgreSQL and Redis themselves, by the names of docker-compose.yml. */
const partSettings = {
  POSTGRES_SHARED_BUFFERS: { part: "postgres", name: "shared_buffers", form: postgresSize },
  POSTGRES_MAX_WAL_SIZE: { part: "postgres", name: "max_wal_size", form: postgresSize },
  REDIS_MAXMEMORY: { part: "redis", name: "maxmemory", form: redisSize },
} as const;

const replicas = {
  SERVER_REPLICAS: integer(1, 16).prefault("2"),
  CONSUMER_REPLICAS: integer(1, 16).prefault("1"),
};

/** Every setting that `npm start` passes on. */
export const passedOn: readonly string[] = [
  ...new Set(Object.values(programs).flatMap((readConfig) => ownSettings(readConfig))),
  ...Object.keys(nginxKeys),
  ...Object.keys(partSettings),
  ...Object.keys(replicas),
];

/** Those that dev/start.ts reads. */
const readByStart: ReadonlySet<string> = new Set([
  "FLEETLOG_HOST",
  "FLEETLOG_HTTP_PORT",
  "FLEETLOG_GRPC_PORT",
  "FLEETLOG_OTLP_GRPC_PORT",
  "FLEETLOG_OTLP_HTTP_PORT",
  "FLEETLOG_FOLDER",
  "ALLOWED_HOSTS",
  ...Object.keys(tlsShape),
]);

/** Settings of .env.example in the environment that mean something in containers only: a line for each. */
export function describeIgnored(env: Env): readonly string[] {
  const example = readFileSync(join(projectFolder, ".env.example"), "utf8");
  return [...example.matchAll(/^# ([A-Z][A-Z0-9_]*)=/gm)]
    .map(([, name = ""]) => name)
    .filter((name) => env[name] && !readByStart.has(name) && !passedOn.includes(name))
    .map((name) => `${name} is a setting of docker-compose.yml: npm start does not use it.`);
}

/** Reads the settings of all programs. Throws one ConfigError that lists every bad one, before anything is started. */
export function readStartSettings(env: Env): StartSettings {
  const problems = new Set<string>();
  const collect = <T>(read: () => T): T | undefined => {
    try {
      return read();
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      for (const problem of error.problems) problems.add(problem);
      return undefined;
    }
  };
  const programEnv = Object.entries(programs).map(([name, readConfig]) => {
    const given = pick(env, ownSettings(readConfig));
    collect(() =>
      readConfig({ ...given, DATABASE_URL: "postgres://127.0.0.1", REDIS_URL: "redis://127.0.0.1" }),
    );
    return [name, given] as const;
  });
  const nginxEnv = pick(env, Object.keys(nginxKeys));
  const nginx = collect(() => readNginxConfig({ ...nginxEnv, NGINX_VERSION: "1.30" }));
  const parts: Record<"postgres" | "redis", Record<string, string>> = { postgres: {}, redis: {} };
  for (const [variable, { part, name, form }] of Object.entries(partSettings)) {
    const value = env[variable];
    if (!value) continue;
    if (form.test(value)) parts[part][name] = value;
    else problems.add(`${variable}=${JSON.stringify(value)}: expected a size, such as "512MB"`);
  }
  const counts = collect(() => readEnv(replicas, env));
  if (problems.size > 0) throw new ConfigError([...problems]);
  return {
    env: Object.fromEntries(programEnv) as StartSettings["env"],
    nginxSettings: Object.fromEntries(
      Object.entries(nginxKeys)
        .filter(([variable]) => nginxEnv[variable] !== undefined)
        .map(([, key]) => [key, nginx?.settings[key]]),
    ),
    postgresSettings: parts.postgres,
    redisSettings: parts.redis,
    servers: counts?.SERVER_REPLICAS ?? 2,
    consumers: counts?.CONSUMER_REPLICAS ?? 1,
  };
}

function ownSettings(readConfig: (env: Env) => unknown): readonly string[] {
  return Object.keys(readShape(readConfig)).filter((name) => !chosenByStart.has(name));
}

/** Those that are set; an empty one counts as absent. */
function pick(env: Env, names: readonly string[]): Readonly<Record<string, string>> {
  return Object.fromEntries(names.flatMap((name) => (env[name] ? [[name, env[name]]] : [])));
}
