import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onFreePort } from "#dev/free-port.ts";
import { type RunningSystem, type SystemOptions, startSystem as start } from "#dev/system.ts";
import { createDatabase, toGatewayUrl } from "./postgres.ts";

export type TestSystem = Omit<RunningSystem, "stop"> & {
  /** Holds all data, logs and pid files. */
  readonly folder: string;
  /** Base URL of the HTTP/1.1 listener. */
  readonly httpUrl: string;
  /** host:port of the gRPC listener. */
  readonly grpcAddress: string;
  [Symbol.asyncDispose](): Promise<void>;
};

/**
 * The whole of Fleetlog on free ports: a database of the run's PostgreSQL, a Redis of its own, two ingest servers, the
 * consumer, the gateway and Nginx. Programs can be killed, stopped and started again (`system.servers[0].kill()`).
 */
export async function startSystem(
  options: Pick<
    SystemOptions,
    "servers" | "serverEnv" | "env" | "allowedHosts" | "redisSettings" | "nginxSettings"
  > = {},
): Promise<TestSystem> {
  const folder = await mkdtemp(join(tmpdir(), "fleetlog-system-"));
  const database = await createDatabase();
  const system = await onFreePort((httpPort) =>
    onFreePort((grpcPort) =>
      start({
        folder,
        databaseUrl: database.url,
        httpListen: `127.0.0.1:${httpPort}`,
        grpcListen: `127.0.0.1:${grpcPort}`,
        ...options,
        env: {
          ...options.env,
          gateway: { DATABASE_URL: toGatewayUrl(database.url), ...options.env?.gateway },
        },
        nginxSettings: { workerProcesses: 1, workerConnections: 1_024, ...options.nginxSettings },
      }),
    ),
  );
  return {
    ...system,
    folder,
    httpUrl: `http://${system.nginx.http}`,
    grpcAddress: system.nginx.grpc,
    [Symbol.asyncDispose]: async () => {
      await system.stop();
      await database[Symbol.asyncDispose]();
      await rm(folder, { recursive: true, force: true });
    },
  };
}
