import { readFile } from "node:fs/promises";
import { type Kysely, sql } from "kysely";
import { withDeadline } from "#lib/deadline.ts";
import type { Database } from "#postgres/tables.ts";
import { listMasters, redisProblem, type StreamRedis } from "#stream/connection.ts";
import { checkBinaries } from "./check-binaries.ts";
import { checkClock } from "./check-clocks.ts";
import { checkCertificate, checkGrpc, checkHttp } from "./check-front-door.ts";
import { checkDisk, checkNode } from "./check-machine.ts";
import { checkNginxConf, checkNginxVersion } from "./check-nginx-conf.ts";
import { checkPostgres } from "./check-postgres.ts";
import { checkReady, findReason } from "./check-programs.ts";
import { checkRedis } from "./check-redis.ts";
import { checkStreams } from "./check-streams.ts";
import type { Config } from "./config.ts";
import { type Finding, fail } from "./finding.ts";
import { findAll, parseNginxConf } from "./nginx-conf.ts";

const checkMsMax = 15_000;

/** Runs every check. An unreachable dependency is a finding too: nothing is thrown. */
export async function examine(
  config: Config,
  { db, redis }: { readonly db: Kysely<Database>; readonly redis: StreamRedis },
): Promise<readonly Finding[]> {
  const { http, grpc, binaries, nginxVersion, nginxConfFile: file } = config;
  const groups = [
    attempt("versions", "", async () => [
      checkNode(),
      ...(nginxVersion ? [checkNginxVersion(nginxVersion)] : []),
    ]),
    ...config.disks.map((path) =>
      attempt(`disk ${path}`, "Check the path.", async () => [await checkDisk(path)]),
    ),
    attempt("binaries", "", async () => (binaries ? await checkBinaries(binaries) : [])),
    attempt(
      "redis",
      "Check that Redis is running, or fix REDIS_URL.",
      async () => [...(await checkRedis(redis)), await checkClock("redis", () => redisClock(redis))],
      redisProblem,
    ),
    attempt(
      "redis.streams",
      "Check that Redis and PostgreSQL are running.",
      () => checkStreams(db, redis),
      (error) => redisProblem(error).replace(/^Redis: /, ""),
    ),
    attempt("postgres", "Start PostgreSQL, or fix DATABASE_URL.", async () => [
      ...(await checkPostgres(db)),
      await checkClock("postgres", () => postgresClock(db)),
    ]),
    ...config.ready.map((address) =>
      attempt(`ready ${address}`, "Start it: its name does not resolve.", () => checkReady(address)),
    ),
    attempt("nginx", "Check that the file is readable and complete.", async () =>
      file ? await nginxFindings(file, http) : [],
    ),
    ...(http ? [attempt(`http ${http}`, "", async () => [await checkHttp(http)])] : []),
    ...(grpc ? [attempt(`grpc ${grpc}`, "", async () => [await checkGrpc(grpc)])] : []),
  ];
  return (await Promise.all(groups)).flat();
}

async function attempt(
  name: string,
  fix: string,
  work: () => Promise<Finding[]>,
  reason: (error: unknown) => string = findReason,
): Promise<Finding[]> {
  try {
    return await withDeadline(name, checkMsMax, work());
  } catch (error) {
    return [fail(name, reason(error), fix)];
  }
}

/** Checks the configuration, and the certificate of the TLS listener on the host of the HTTP listener. */
async function nginxFindings(file: string, http: string | undefined): Promise<Finding[]> {
  const text = await readFile(file, "utf8");
  const ports = findAll(parseNginxConf(text), "listen")
    .filter(({ directive }) => directive.args.includes("ssl"))
    .map(({ directive }) => Number(directive.args[0]?.replace(/^.*:/, "")));
  const host = http?.slice(0, http.lastIndexOf(":")).replace(/^\[|\]$/g, "");
  const certificates = host ? await Promise.all(ports.map((port) => checkCertificate(host, port))) : [];
  return [...checkNginxConf(text), ...certificates];
}

async function redisClock(redis: StreamRedis): Promise<number> {
  const [node] = listMasters(redis);
  if (!node) throw new Error("Redis: no node is connected");
  const [seconds, micros] = await node.time();
  return Number(seconds) * 1_000 + Number(micros) / 1_000;
}

async function postgresClock(db: Kysely<Database>): Promise<number> {
  const { rows } = await sql<{ ms: number }>`
    select (extract(epoch from clock_timestamp()) * 1000)::float8 as ms`.execute(db);
  return rows[0]?.ms ?? Number.NaN;
}
