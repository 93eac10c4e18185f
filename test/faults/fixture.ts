import { chmod, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Redis } from "ioredis";
import { freePort, onFreePort } from "#dev/free-port.ts";
import { type RunningPostgres, startPostgres } from "#dev/postgres.ts";
import { type RunningRedis, startRedis } from "#dev/redis.ts";
import { asRedisUser, ensureRedisUsers, type RedisUsers } from "#dev/redis-users.ts";
import { type RunningSystem, startSystem } from "#dev/system.ts";
import { migrateToLatest } from "#postgres/migrate.ts";
import { waitFor } from "#test/support/wait-for.ts";
import type { Preparation } from "./fault.ts";
import { Hop } from "./hop.ts";

/**
 * Short, so that a run takes seconds: the longest statement, then how long an unacknowledged entry stays with its
 * consumer, and how much of what is stored the stream keeps.
 */
const consumerEnv = { STATEMENT_TIMEOUT_MS: "1000", RECLAIM_IDLE_MS: "3000", TAIL_WINDOW_MS: "1000" };

/** A quiet stream learns by its next heartbeat that Redis has lost something. */
const usualServerEnv = { HEARTBEAT_SECONDS: "2" };

/** With synchronous commits the WAL writer has nothing to do; without them, it would hide what a crash loses. */
const postgresSettings = { shared_buffers: "32MB", max_connections: "40", wal_writer_delay: "10s" };

export const shardCount = 4;

/**
 * The first keeps its name when it starts again, and with it its own pending entries. The second has the default, a
 * new name for every process, so what it left has to be taken over by another consumer.
 */
const consumerNames = ["consumer-1", ""];

/** The connections between the programs, each through a hop of the harness. */
export interface Hops {
  readonly deviceGrpc: Hop;
  readonly deviceHttp: Hop;
  readonly serversRedis: Hop;
  /** One for each consumer. */
  readonly consumersRedis: readonly Hop[];
  readonly consumersPostgres: readonly Hop[];
  /** The gateway's, which no fault touches. */
  readonly gatewayPostgres: Hop;
}

/**
 * The system under test: real PostgreSQL, Redis and Nginx, two ingest servers, two consumers and the gateway, in a
 * folder and on ports of their own. What was killed is started again by `revive…`, on the data that it left.
 */
export class Fixture {
  readonly folder: string;
  readonly system: RunningSystem;
  readonly hops: Hops;
  readonly #stack: AsyncDisposableStack;
  readonly #redisSettings: Readonly<Record<string, string>>;
  #postgres: RunningPostgres;
  #redis: RunningRedis;
  #admin: Redis | undefined;
  /** Rows in `records` when the last run was judged. */
  rowsJudged = 0;

  static async start({
    redisSettings,
    serverEnv,
  }: Omit<Preparation, keyof AsyncDisposable> = {}): Promise<Fixture> {
    await using started = new AsyncDisposableStack();
    const folder = await mkdtemp(join(tmpdir(), "fleetlog-faults-"));
    started.defer(() => rm(folder, { recursive: true, force: true, maxRetries: 5 }));
    await chmod(folder, 0o755); // PostgreSQL may run as another user
    const postgres = await startPostgres(folder, postgresSettings);
    started.defer(() => postgres.stop());
    await migrateToLatest(postgres.url);
    const redisPort = await freePort();
    const hop = async (port: number): Promise<Hop> => started.use(await Hop.before(port));
    const hops = {
      serversRedis: await hop(redisPort),
      consumersRedis: [await hop(redisPort), await hop(redisPort)],
      consumersPostgres: [await hop(postgres.port), await hop(postgres.port)],
      gatewayPostgres: await hop(postgres.port),
    };
    const throughHop = ({ port }: Hop) => Object.assign(new URL(postgres.url), { port: String(port) }).href;
    const users = await ensureRedisUsers(folder);
    const settings = { port: String(redisPort), ...redisSettings };
    const system = await onFreePort((httpPort) =>
      onFreePort((grpcPort) =>
        startSystem({
          folder,
          databaseUrl: throughHop(hops.gatewayPostgres),
          httpListen: `127.0.0.1:${httpPort}`,
          grpcListen: `127.0.0.1:${grpcPort}`,
          redisSettings: settings,
          env: {
            server: {
              REDIS_URL: asRedisUser(`redis://${hops.serversRedis.address}`, "server", users),
              ...usualServerEnv,
              ...serverEnv,
            },
            consumer: consumerEnv,
          },
          consumers: hops.consumersRedis.map((toRedis, index) => ({
            CONSUMER_NAME: consumerNames[index]!,
            REDIS_URL: asRedisUser(`redis://${toRedis.address}`, "consumer", users),
            DATABASE_URL: throughHop(hops.consumersPostgres[index]!),
          })),
          nginxSettings: { workerProcesses: 2, workerConnections: 512, shutdownSeconds: 1 },
        }),
      ),
    );
    started.defer(() => system.stop());
    const all: Hops = {
      ...hops,
      deviceGrpc: await hop(readPort(system.nginx.grpc)),
      deviceHttp: await hop(readPort(system.nginx.http)),
    };
    return new Fixture({ folder, system, hops: all, postgres, settings, stack: started.move() });
  }

  private constructor(parts: {
    folder: string;
    system: RunningSystem;
    hops: Hops;
    postgres: RunningPostgres;
    settings: Readonly<Record<string, string>>;
    stack: AsyncDisposableStack;
  }) {
    this.folder = parts.folder;
    this.system = parts.system;
    this.hops = parts.hops;
    this.#postgres = parts.postgres;
    this.#redis = parts.system.redis;
    this.#redisSettings = parts.settings;
    this.#stack = parts.stack;
  }

  get postgres(): RunningPostgres {
    return this.#postgres;
  }

  get redis(): RunningRedis {
    return this.#redis;
  }

  /** A connection of the harness's own, past every hop. Made anew after Redis was away. */
  get redisAdmin(): Redis {
    if (this.#admin === undefined) {
      this.#admin = new Redis(this.#redis.url, { maxRetriesPerRequest: 20, retryStrategy: () => 100 });
      this.#admin.on("error", () => {}); // faults stop Redis; commands are retried
    }
    return this.#admin;
  }

  async reviveRedis(): Promise<void> {
    await this.#redis.child.exited;
    this.#redis = await startRedis(this.folder, this.#redisSettings, await this.redisUsers());
  }

  /** The users of the programs, for a Redis that takes the place of the one that there is. */
  redisUsers(): Promise<RedisUsers> {
    return ensureRedisUsers(this.folder);
  }

  /** From now on this one is it; it listens where the other did. */
  adoptRedis(redis: RunningRedis): void {
    this.#redis = redis;
  }

  /** On another port, which the hops then lead to. What the old backends still hold is waited for. */
  async revivePostgres(): Promise<void> {
    await this.#postgres.child.exited;
    this.#postgres = await waitFor(
      "PostgreSQL to start again",
      () => startPostgres(this.folder, postgresSettings),
      60_000,
    );
    const { consumersPostgres, gatewayPostgres } = this.hops;
    for (const hop of [...consumersPostgres, gatewayPostgres]) hop.retarget(this.#postgres.port);
  }

  /** Rereads Nginx's configuration, after `edit` has changed it. */
  async reloadNginx(edit: (configuration: string) => string = (same) => same): Promise<void> {
    const file = join(this.folder, "nginx/nginx.conf");
    await writeFile(file, edit(await readFile(file, "utf8")));
    process.kill(this.system.nginx.pid, "SIGHUP");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#admin?.disconnect();
    await this.system.stop();
    await this.#redis.stop();
    await this.#postgres.stop();
    await this.#stack.disposeAsync();
  }
}

function readPort(address: string): number {
  return Number(address.split(":").at(-1));
}
