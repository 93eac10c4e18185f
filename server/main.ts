import { setDefaultHighWaterMark } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import { createAdminServer, listen } from "#lib/admin-server.ts";
import { createHostCheck } from "#lib/allowed-hosts.ts";
import { createLogger } from "#lib/logger.ts";
import { createRegistry } from "#lib/metrics.ts";
import { readConfigOrExit, runProgram } from "#lib/program.ts";
import { Readiness } from "#lib/readiness.ts";
import { commandConnection, openRedis, subscriberConnection } from "#stream/connection.ts";
import { readConfig } from "./config.ts";
import { createServer } from "./create-server.ts";

/** A starting server waits this long for Redis before it listens; then it listens and is not ready. */
const safeWithinMs = 5_000;

const config = readConfigOrExit(() => readConfig(process.env));
const logger = createLogger("server", config.logLevel);

// A stream of messages reads one ahead, not 16: each can be 1 MiB beyond BatchPipeline's limits.
setDefaultHighWaterMark(true, 1);

await runProgram(logger, async (program) => {
  const registry = createRegistry("server");
  const readiness = new Readiness(["redis"]);
  const checkHost = createHostCheck([...config.allowedHosts, config.adminListen.host]);
  const admin = createAdminServer(readiness, registry, checkHost);
  const redis = openRedis(config.redisUrls, commandConnection);
  program.onStop("redis", 200, () => redis.disconnect());
  const subscriber = openRedis(config.redisUrls, subscriberConnection);
  subscriber.on("error", (error: Error) => logger.debug({ err: error }, "a connection to Redis failed"));

  const server = createServer({ config, redis, subscriber, readiness, registry, logger });
  program.onStop("progress", 100, () => server.close());
  const adminAddress = await listen(admin, config.adminListen);
  program.onStop("admin", 300, () => admin.closeAllConnections());
  // Listening earlier would refuse what another server behind the proxy can take.
  await Promise.race([server.firstSafe, sleep(safeWithinMs, undefined, { ref: false })]);
  const { http, grpc } = await server.listen();
  program.onStop("drain", 9_000, async () => {
    readiness.notReady("server", "stopping");
    await server.drain(8_000);
  });
  logger.info({ admin: show(adminAddress), http: show(http), grpc: show(grpc) }, "ready");
});

function show({ host, port }: { readonly host: string; readonly port: number }): string {
  return `${host.includes(":") ? `[${host}]` : host}:${port}`;
}
