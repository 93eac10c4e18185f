import type { AddressInfo } from "node:net";
import { Redis } from "ioredis";
import { pino } from "pino";
import { listen } from "#lib/admin-server.ts";
import { createRegistry } from "#lib/metrics.ts";
import { Readiness } from "#lib/readiness.ts";
import { commandConnection } from "#stream/connection.ts";
import { createGateway } from "../gateway.ts";
import { closeServer } from "../http/close-server.ts";
import { openPool } from "./open-pool.ts";

/** A gateway in this process, on a free port, with a pool of its own. */
export async function startGateway(
  databaseUrl: string,
  {
    connectionsMax = 4,
    queryTimeoutMs = 5000,
    exportsMax = 2,
    corsOrigins = [],
    redisUrl,
  }: {
    connectionsMax?: number;
    queryTimeoutMs?: number;
    exportsMax?: number;
    corsOrigins?: readonly string[];
    redisUrl?: string;
  } = {},
) {
  const pool = openPool(databaseUrl, { reading: true, connectionsMax, timeoutMs: queryTimeoutMs });
  const redis = redisUrl === undefined ? undefined : new Redis(redisUrl, commandConnection);
  redis?.on("error", () => {}); // the tests take Redis away
  const { server, reader } = createGateway({
    choosePool: () => pool,
    redis,
    shards: 2,
    exportsMax,
    corsOrigins,
    options: { connectionsMax, queryTimeoutMs },
    readiness: new Readiness([]),
    registry: createRegistry("gateway"),
    logger: pino({ level: "silent" }),
  });
  await listen(server, { host: "127.0.0.1", port: 0 });
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    port,
    reader,
    async [Symbol.asyncDispose]() {
      await closeServer(server, 1000);
      await pool.end();
      redis?.disconnect();
    },
  };
}
