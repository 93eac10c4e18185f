import { randomBytes } from "node:crypto";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import type { NginxSettings } from "#nginx/render.ts";
import { findBinary } from "./binaries.ts";
import { StartError } from "./child.ts";
import { projectFolder } from "./folders.ts";
import { freePort, onFreePort } from "./free-port.ts";
import { type KeptPorts, onPreferredPort } from "./kept-ports.ts";
import { type RunningNginx, startNginx } from "./nginx.ts";
import { type RunningPostgres, startPostgres } from "./postgres.ts";
import type { ProgramName } from "./programs.ts";
import { type RunningRedis, startRedis } from "./redis.ts";
import { ensureRedisUsers } from "./redis-users.ts";
import { type Report, type Running, SupervisedProcess } from "./supervised-process.ts";
import { ManagedProgram } from "./supervised-program.ts";

export interface SystemOptions {
  /** Holds all data, logs and pid files. */
  readonly folder: string;
  /** host:port of Nginx's listeners. */
  readonly httpListen: string;
  readonly grpcListen: string;
  /** Use this database instead of starting PostgreSQL; it must be migrated. */
  readonly databaseUrl?: string;
  /** How many ingest servers; 2 by default. */
  readonly servers?: number;
  /** More environment for each of them, the first's first. */
  readonly serverEnv?: readonly Readonly<Record<string, string>>[];
  /** One consumer for each, with more environment for just that one; one consumer by default. */
  readonly consumers?: readonly Readonly<Record<string, string>>[];
  /** More environment for a program. */
  readonly env?: Partial<Record<ProgramName, Readonly<Record<string, string>>>>;
  /** Host names besides localhost and IP addresses that clients may use, for every listener. */
  readonly allowedHosts?: readonly string[];
  readonly postgresSettings?: Readonly<Record<string, string>>;
  readonly redisSettings?: Readonly<Record<string, string>>;
  /** Loopback ports to use while they are free; any free one by default. */
  readonly ports?: Partial<KeptPorts>;
  readonly nginxSettings?: Partial<NginxSettings>;
  /** Called when all but Nginx runs, such as to set its ports free. */
  readonly beforeNginx?: () => Promise<unknown>;
  /** Runs around every step, for showing progress. */
  readonly step?: Step;
}

/** Runs `work` under the name `title` and returns its result; `detail` describes the result in a word. */
export type Step = <T>(title: string, work: () => Promise<T>, detail?: (result: T) => string) => Promise<T>;

export interface RunningSystem {
  readonly databaseUrl: string;
  /** Undefined when `databaseUrl` was given. */
  readonly postgres: RunningPostgres | undefined;
  /** As first started, like Nginx and PostgreSQL: after `keepRunning` it may be another process. */
  readonly redis: RunningRedis;
  readonly servers: readonly ManagedProgram[];
  /** The first of `consumers`. */
  readonly consumer: ManagedProgram;
  readonly consumers: readonly ManagedProgram[];
  readonly gateway: ManagedProgram;
  readonly nginx: RunningNginx;
  /** Restarts every process that exits, forever. */
  keepRunning(report: Report): void;
  /** Stops everything in reverse order. */
  stop(): Promise<void>;
}

/**
 * Starts all of Fleetlog, each process once its dependencies are ready. When one fails, stops the others
 * and throws.
 */
export async function startSystem(options: SystemOptions): Promise<RunningSystem> {
  const { folder, allowedHosts = [], step = (_title, work) => work() } = options;
  const stack = new AsyncDisposableStack();
  const all: SupervisedProcess<Running>[] = [];
  const supervise = <T extends SupervisedProcess<Running>>(title: string, supervised: T): T => {
    stack.defer(() => step(`${title} stopped`, () => supervised.stop()));
    all.push(supervised);
    return supervised;
  };
  try {
    await step(
      "Redis and Nginx found",
      () => Promise.all([findBinary("redis"), findBinary("nginx")]),
      describeOrigin,
    );
    /** A process of third parties, restarted on the same port. */
    const part = async <T extends Running & { readonly port: number }>(
      title: string,
      port: number | undefined,
      start: (port: Readonly<Record<string, string>>) => Promise<T>,
    ): Promise<T> => {
      const running = await step(title, () => onPreferredPort(port, start), describePort);
      supervise(title, new SupervisedProcess(title, running, () => start({ port: String(running.port) })));
      return running;
    };
    const postgres = options.databaseUrl
      ? undefined
      : await part("PostgreSQL", options.ports?.postgres, (port) =>
          startPostgres(folder, { ...options.postgresSettings, ...port }),
        );
    const users = await ensureRedisUsers(folder);
    const redis = await part("Redis", options.ports?.redis, (port) =>
      startRedis(folder, { ...options.redisSettings, ...port }, users),
    );
    const databaseUrl = options.databaseUrl ?? (postgres as RunningPostgres).url;
    const gatewayUrl = postgres ? withGatewayRole(databaseUrl) : databaseUrl;
    if (postgres) await step("Migrations", () => migrate(databaseUrl, gatewayUrl));

    const program = async (
      title: string,
      name: ProgramName,
      instance: string = name,
      ownEnv: Readonly<Record<string, string>> = {},
    ) => {
      const fixed = {
        DATABASE_URL: name === "gateway" ? gatewayUrl : databaseUrl,
        REDIS_URL: redis.urlFor(name),
        ALLOWED_HOSTS: allowedHosts.join(","),
        ...defaults[name].env,
        ...options.env?.[name],
        ...ownEnv,
      };
      const start = () =>
        onFreePorts(defaults[name].listeners, (listen) =>
          ManagedProgram.start({ program: name, name: instance, env: { ...listen, ...fixed }, folder }),
        );
      return supervise(
        title,
        await step(title, start, (running) => Object.values(running.addresses).join(" ")),
      );
    };
    const servers: ManagedProgram[] = [];
    for (let number = 1; number <= (options.servers ?? 2); number += 1) {
      servers.push(
        await program(
          `Ingest server ${number}`,
          "server",
          `server-${number}`,
          options.serverEnv?.[number - 1],
        ),
      );
    }
    const consumer = await program("Consumer", "consumer", "consumer", options.consumers?.[0]);
    const consumers = [consumer];
    for (const ownEnv of options.consumers?.slice(1) ?? []) {
      const number = consumers.length + 1;
      const name = `consumer-${number}`;
      consumers.push(
        await program(`Consumer ${number}`, "consumer", name, { CONSUMER_NAME: name, ...ownEnv }),
      );
    }
    const gateway = await program("Gateway", "gateway");
    await options.beforeNginx?.();
    const startFrontDoor = () =>
      startNginx(folder, {
        httpListen: options.httpListen,
        grpcListen: options.grpcListen,
        servers: servers.map(({ addresses }) => ({ grpc: addresses.grpc ?? "", http: addresses.http ?? "" })),
        gateways: [gateway.addresses.http ?? ""],
        allowedHosts,
        ...options.nginxSettings,
      });
    const nginx = await step("Nginx", startFrontDoor);
    supervise("Nginx", new SupervisedProcess("Nginx", nginx, startFrontDoor));
    return {
      databaseUrl,
      postgres,
      redis,
      servers,
      consumer,
      consumers,
      gateway,
      nginx,
      keepRunning(report) {
        for (const supervised of all) supervised.keepRunning(report);
      },
      stop: () => stack.disposeAsync(),
    };
  } catch (error) {
    await stack.disposeAsync();
    throw error;
  }
}

/** Listeners get free ports of loopback, for only Nginx is reachable from outside; environment, unless the options say else. */
const defaults: Readonly<
  Record<
    ProgramName,
    { readonly listeners: readonly string[]; readonly env?: Readonly<Record<string, string>> }
  >
> = {
  server: { listeners: ["GRPC_LISTEN", "HTTP_LISTEN", "ADMIN_LISTEN"] },
  // A fixed name: a restarted consumer owns the pending entries of the killed one, without waiting for a
  // takeover.
  consumer: { listeners: ["ADMIN_LISTEN"], env: { CONSUMER_NAME: "consumer" } },
  // It shares the cores with all others, and so do those of PostgreSQL that search for it.
  gateway: {
    listeners: ["HTTP_LISTEN"],
    env: { HEAVY_QUERIES_MAX: String(Math.max(1, Math.floor(availableParallelism() / 2))) },
  },
};

/** Runs `start` with an address for each listener, and with others if a process took one in between. */
async function onFreePorts<T>(
  listeners: readonly string[],
  start: (env: Readonly<Record<string, string>>) => Promise<T>,
): Promise<T> {
  return onFreePort(async () => {
    const env: Record<string, string> = {};
    for (const listener of listeners) env[listener] = `127.0.0.1:${await freePort()}`;
    return start(env);
  });
}

/** The database by the gateway's role, which only reads. Migrating gives it this password, a new one for each start. */
function withGatewayRole(databaseUrl: string): string {
  const url = new URL(databaseUrl);
  url.username = "fleetlog_gateway";
  url.password = randomBytes(16).toString("hex");
  return url.href;
}

async function migrate(databaseUrl: string, gatewayUrl: string): Promise<void> {
  const done = await execa(process.execPath, [join(projectFolder, "postgres/main.ts")], {
    env: { DATABASE_URL: databaseUrl, GATEWAY_DATABASE_URL: gatewayUrl },
    reject: false,
    all: true,
    timeout: 300_000,
  });
  if (done.failed) throw new StartError(`The migrations failed:\n${done.all.slice(-2_000)}`);
}

function describeOrigin(found: readonly { from: string }[]): string {
  return found.every(({ from }) => from === "PATH") ? "in PATH" : "fetched into .fleetlog/binaries";
}

function describePort({ port }: { port: number }): string {
  return `127.0.0.1:${port}`;
}
