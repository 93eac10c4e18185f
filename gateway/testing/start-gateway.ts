import type { AddressInfo } from "node:net";
import { Redis } from "ioredis";
import { pino } from "pino";
import { listen } from "#lib/admin-server.ts";
import type { Logger } from "#lib/logger.ts";
import { createRegistry } from "#lib/metrics.ts";
import { Readiness } from "#lib/readiness.ts";
import { closeListener } from "#rpc/http-listener.ts";
import { commandConnection, readConnection } from "#stream/connection.ts";
import { createGateway } from "../create-gateway.ts";
import type { TailOptions } from "../tail/create-tail-sources.ts";
import { openPool } from "./open-pool.ts";

/** A gateway in this process, on a free port, with a pool of its own. */
export async function startGateway(
  databaseUrl: string,
  {
    connectionsMax = 4,
    queryTimeoutMs = 5000,
    heavyQueriesMax = 2,
    patienceMs,
    exportsMax = 4,
    trustedProxies = ["127.0.0.0/8", "::1"],
    allowedHosts = [],
    corsOrigins = [],
    redisUrl,
    tails = {},
    logger = pino({ level: "silent" }),
  }: {
    connectionsMax?: number;
    queryTimeoutMs?: number;
    heavyQueriesMax?: number;
    patienceMs?: number;
    exportsMax?: number;
    trustedProxies?: readonly string[];
    allowedHosts?: readonly string[];
    corsOrigins?: readonly string[];
    redisUrl?: string;
    tails?: Partial<TailOptions>;
    logger?: Logger;
  } = {},
) {
  const pool = openPool(databaseUrl, { reading: true, connectionsMax, timeoutMs: queryTimeoutMs });
  const [redis, tailRedis] = [commandConnection, readConnection].map((options) => {
    const opened = redisUrl === undefined ? undefined : new Redis(redisUrl, options);
    opened?.on("error", () => {}); // the tests stop Redis
    return opened;
  });
  const registry = createRegistry("gateway");
  const { listener, readPool, closeTails } = createGateway({
    choosePool: () => pool,
    redis,
    tailRedis,
    shards: 2,
    exportsMax,
    trustedProxies,
    allowedHosts,
    corsOrigins,
    tails: { tailsMax: 500, tailWindowMs: 60_000, replicaLagMsMax: 0, ...tails },
    options: {
      connectionsMax,
      queryTimeoutMs,
      heavyQueriesMax,
      ...(patienceMs !== undefined && { patienceMs }),
    },
    readiness: new Readiness([]),
    registry,
    logger,
  });
  await listen(listener.server, { host: "127.0.0.1", port: 0 });
  const { port } = listener.server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    port,
    readPool,
    registry,
    async [Symbol.asyncDispose]() {
      closeTails();
      await closeListener(listener, 1000);
      await pool.end();
      redis?.disconnect();
      tailRedis?.disconnect();
    },
  };
}
