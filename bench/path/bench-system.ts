import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Client } from "pg";
import { cpuSeconds } from "#bench/path/cpu.ts";
import { onFreePort } from "#dev/free-port.ts";
import { type RunningSystem, startSystem } from "#dev/system.ts";
import { migrateToLatest } from "#postgres/migrate.ts";

/** The processes whose CPU time is measured. */
export const parts = ["server", "nginx", "redis", "consumer", "postgres"] as const;
export type PerPart = Record<(typeof parts)[number], number>;

/** The system under measurement, and an empty database beside it for the COPY baselines. */
export interface BenchSystem extends AsyncDisposable {
  readonly system: RunningSystem;
  /** On the system's own database. */
  readonly client: Client;
  /** On a migrated database of the same PostgreSQL that no program touches. */
  readonly baseline: Client;
  /** CPU seconds used so far. */
  cpu(): Promise<PerPart>;
}

/** Everything that `npm start` runs, in a temporary folder on free ports; our programs get `programEnv`. */
export async function startBenchSystem({
  programEnv = {},
}: {
  readonly programEnv?: Readonly<Record<string, string>>;
} = {}): Promise<BenchSystem> {
  const folder = await mkdtemp(join(tmpdir(), "fleetlog-bench-"));
  const stack = new AsyncDisposableStack();
  stack.defer(() => rm(folder, { recursive: true, force: true }));
  try {
    const system = await onFreePort((http) =>
      onFreePort((grpc) =>
        startSystem({
          folder,
          httpListen: `127.0.0.1:${http}`,
          grpcListen: `127.0.0.1:${grpc}`,
          // Filled faster than drained, on purpose.
          env: { server: programEnv, consumer: programEnv, gateway: programEnv },
          redisSettings: { maxmemory: "4gb" },
        }),
      ),
    );
    stack.defer(() => system.stop());
    const connect = async (url: string) => {
      const client = new Client({ connectionString: url });
      await client.connect();
      stack.defer(() => client.end());
      return client;
    };
    const client = await connect(system.databaseUrl);
    await client.query("create database baseline");
    const baselineUrl = new URL(system.databaseUrl);
    baselineUrl.pathname = "/baseline";
    await migrateToLatest(baselineUrl.href);
    const baseline = await connect(baselineUrl.href);
    return {
      system,
      client,
      baseline,
      cpu: () => readCpu(system),
      [Symbol.asyncDispose]: () => stack.disposeAsync(),
    };
  } catch (error) {
    await stack.disposeAsync();
    throw error;
  }
}

async function readCpu(system: RunningSystem): Promise<PerPart> {
  const { servers, nginx, redis, consumer, postgres } = system;
  if (postgres === undefined) throw new Error("the benchmark starts its own PostgreSQL");
  const [first, second] = servers;
  const server = (await cpuSeconds(first?.pid ?? 0)) + (await cpuSeconds(second?.pid ?? 0));
  return {
    server,
    nginx: await cpuSeconds(nginx.pid),
    redis: await cpuSeconds(redis.pid),
    consumer: await cpuSeconds(consumer.pid),
    postgres: await cpuSeconds(postgres.pid),
  };
}
