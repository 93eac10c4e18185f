import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Pool } from "pg";
import { cpuSeconds } from "#bench/path/cpu.ts";
import { onFreePort } from "#dev/free-port.ts";
import { type RunningSystem, startSystem } from "#dev/system.ts";
import { createLogger } from "#lib/logger.ts";
import { createPool } from "#postgres/pool.ts";

/** The whole system, and a way to its database. */
export interface QuerySystem extends AsyncDisposable {
  readonly system: RunningSystem;
  readonly pool: Pool;
  /** CPU seconds so far of gateway and PostgreSQL together; of the gateway alone with a database that was there. */
  cpu(): Promise<number>;
}

/**
 * Everything as `npm start` runs it, in a temporary folder, on free ports; its consumer leaves days that are over to the
 * benchmark. With `databaseUrl` on a database that is there.
 */
export async function startQuerySystem(databaseUrl: string | undefined): Promise<QuerySystem> {
  const stack = new AsyncDisposableStack();
  const folder = await mkdtemp(join(tmpdir(), "fleetlog-bench-"));
  stack.defer(() => rm(folder, { recursive: true, force: true }));
  try {
    const system = await onFreePort((http) =>
      onFreePort((grpc) =>
        startSystem({
          folder,
          httpListen: `127.0.0.1:${http}`,
          grpcListen: `127.0.0.1:${grpc}`,
          ...(databaseUrl !== undefined && { databaseUrl }),
        }),
      ),
    );
    stack.defer(() => system.stop());
    const pool = createPool(
      {
        databaseUrl: system.databaseUrl,
        applicationName: "fleetlog-bench",
        connectionsMax: 4,
        statementTimeoutMs: 3_600_000,
        lockTimeoutMs: 0,
        connectTimeoutMs: 5_000,
        settings: { synchronous_commit: "off" },
      },
      createLogger("bench", "warn"),
    );
    stack.defer(() => pool.end());
    const cpu = async () =>
      (await cpuSeconds(system.gateway.pid)) +
      (system.postgres === undefined ? 0 : await cpuSeconds(system.postgres.pid));
    return { system, pool, cpu, [Symbol.asyncDispose]: () => stack.disposeAsync() };
  } catch (error) {
    await stack.disposeAsync();
    throw error;
  }
}
