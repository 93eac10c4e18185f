import { z } from "zod";
import { type Env, readEnv, url, urls } from "#lib/config.ts";

/**
 * Reads what the doctor checks; unset variables skip their checks. Throws a ConfigError that lists every
 * bad variable.
 */
export function readConfig(env: Env) {
  const read = readEnv(
    {
      DATABASE_URL: url(["postgres", "postgresql"]),
      REDIS_URL: urls(["redis", "rediss"]),
      DOCTOR_READY: list(
        /^[\w.-]+:\d{1,5}$/,
        'expected host:port,…, such as "server:9101,gateway:8082"',
      ).optional(),
      DOCTOR_HTTP: address().optional(),
      DOCTOR_GRPC: address().optional(),
      DOCTOR_NGINX_VERSION: z
        .string()
        .regex(/^\d+\.\d+(\.\d+)?(-[\w.-]+)?$/, 'expected a version, such as "1.30"')
        .optional(),
      DOCTOR_BINARIES: z.string().optional(),
      DOCTOR_NGINX_CONF: z.string().optional(),
      DOCTOR_DISKS: list(/./, "expected comma-separated paths").prefault("."),
    },
    env,
  );
  return Object.freeze({
    databaseUrl: read.DATABASE_URL,
    redisUrls: read.REDIS_URL,
    /** host:port of each listener with /readyz. */
    ready: read.DOCTOR_READY ?? [],
    /** host:port of Nginx's plaintext listeners. */
    http: read.DOCTOR_HTTP,
    grpc: read.DOCTOR_GRPC,
    /** The folder of the binaries that `npm start` fetched. */
    binaries: read.DOCTOR_BINARIES,
    nginxVersion: read.DOCTOR_NGINX_VERSION,
    nginxConfFile: read.DOCTOR_NGINX_CONF,
    /** A path on each disk. */
    disks: read.DOCTOR_DISKS,
  });
}

export type Config = ReturnType<typeof readConfig>;

function address() {
  const form = 'expected host:port, such as "nginx:8080"';
  return z.string(form).regex(/^([\w.-]+|\[[\da-fA-F:]+\]):\d{1,5}$/, form);
}

function list(each: RegExp, form: string) {
  return z
    .string(form)
    .transform((text) => text.split(",").map((part) => part.trim()))
    .refine((parts) => parts.every((part) => each.test(part)), form);
}
