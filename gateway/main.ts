import { setPriority } from "node:os";
import { listen } from "#lib/admin-server.ts";
import { createLogger } from "#lib/logger.ts";
import { createRegistry } from "#lib/metrics.ts";
import { readConfigOrExit, runProgram } from "#lib/program.ts";
import { Readiness } from "#lib/readiness.ts";
import { createPool } from "#postgres/pool.ts";
import { closeListener } from "#rpc/http-listener.ts";
import { commandConnection, openRedis, readConnection } from "#stream/connection.ts";
import { readConfig } from "./config.ts";
import { createGateway } from "./create-gateway.ts";
import { readSettings } from "./query/read-pool.ts";
import { ReplicaWatch } from "./query/replica-watch.ts";
import { watchDatabase } from "./query/watch-database.ts";

const config = readConfigOrExit(() => readConfig(process.env));
const logger = createLogger("gateway", config.logLevel);

// Ingest servers on the same machine have priority: a response may be some ms late, an acknowledgement may not.
setPriority(5);

await runProgram(logger, async (program) => {
  const readiness = new Readiness(["database"]);
  const registry = createRegistry("gateway");
  const openPool = (databaseUrl: string, connectionsMax = config.connectionsMax) => {
    const pool = createPool(
      {
        databaseUrl,
        applicationName: "fleetlog-gateway",
        connectionsMax,
        statementTimeoutMs: config.queryTimeoutMs,
        lockTimeoutMs: 0,
        connectTimeoutMs: 2000,
        settings: readSettings,
      },
      logger,
    );
    program.onStop("database", 300, () => pool.end());
    return pool;
  };
  const primary = openPool(config.databaseUrl);
  const replica = config.replicaUrl === undefined ? undefined : watchReplica(config.replicaUrl);
  const [redis, tailRedis] = [commandConnection, readConnection].map((options) => {
    const opened = config.redisUrls && openRedis(config.redisUrls, options);
    opened?.on("error", (error: Error) => logger.warn({ err: error }, "the connection to Redis failed"));
    program.onStop("redis", 100, () => opened?.disconnect());
    return opened;
  });
  const { listener, readPool, closeTails } = createGateway({
    choosePool: () => replica?.pool ?? primary,
    redis,
    tailRedis,
    shards: config.shards,
    exportsMax: config.exportsMax,
    trustedProxies: config.trustedProxies,
    allowedHosts: [...config.allowedHosts, config.listen.host],
    corsOrigins: config.corsOrigins,
    tails: config,
    options: config,
    readiness,
    registry,
    logger,
  });
  program.onStop("http", 7200, () => closeListener(listener, 7000));
  program.onStop("tails", 100, closeTails);
  const http = await listen(listener.server, config.listen);
  const stopping = new AbortController();
  const watching = watchDatabase(readPool, readiness, stopping.signal);
  program.onStop("readiness", 800, async () => {
    stopping.abort();
    await watching;
    readiness.notReady("gateway", "stopping");
  });
  logger.info({ http: `${http.host}:${http.port}` }, "ready");

  function watchReplica(replicaUrl: string): ReplicaWatch {
    const watch = new ReplicaWatch({
      primary,
      replica: openPool(replicaUrl),
      pollPools: { primary: openPool(config.databaseUrl, 1), replica: openPool(replicaUrl, 1) },
      lagMsMax: config.replicaLagMsMax,
      registry,
      logger,
    });
    program.onStop("replica", 100, () => watch.stop());
    return watch;
  }
});
