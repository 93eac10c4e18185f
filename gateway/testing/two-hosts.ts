import { createDatabase } from "#test/support/postgres.ts";
import { createHttpClient } from "./http-client.ts";
import { openPool } from "./open-pool.ts";
import { type SeedBatch, seed } from "./seed.ts";
import { startGateway } from "./start-gateway.ts";

/** 2026-01-01T00:00:00Z */
const micros = 1_767_225_600_000_000n;

/** A gateway over four records: three of host-1 in one batch, one of host-2. */
export async function startWithTwoHosts(options?: Parameters<typeof startGateway>[1]) {
  const database = await createDatabase();
  const pool = openPool(database.url);
  await seed(pool, [
    {
      deviceId: "host-1",
      sessionId: "boot",
      sequence: 7,
      receivedMicros: micros + 5_000_001n,
      records: [
        { timeMicros: micros + 1n, severity: 9, logger: "net", message: "up", attributes: { if: "eth0" } },
        { timeMicros: micros + 2n, severity: 17, message: "Link DOWN 100%" },
        { timeMicros: micros + 3_000_000n },
      ],
    },
    {
      deviceId: "host-2",
      receivedMicros: micros,
      records: [{ timeMicros: micros, severity: 17, logger: "long".repeat(500) }],
    },
  ]);
  await pool.end();
  const gateway = await startGateway(database.url, options);
  return {
    url: gateway.url,
    port: gateway.port,
    readPool: gateway.readPool,
    databaseUrl: database.url,
    async seed(batches: readonly SeedBatch[]) {
      const pool = openPool(database.url);
      await seed(pool, batches);
      await pool.end();
    },
    ...createHttpClient(gateway.url),
    async [Symbol.asyncDispose]() {
      await gateway[Symbol.asyncDispose]();
      await database[Symbol.asyncDispose]();
    },
  };
}

export const listLogsPath = "/fleetlog.v1.QueryService/ListLogs";
