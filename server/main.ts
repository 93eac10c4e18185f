import { setDefaultHighWaterMark } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import { limits } from "#batch/limits.ts";
import { createAdminServer, listen } from "#lib/admin-server.ts";
import { createHostCheck } from "#lib/allowed-hosts.ts";
import { createLogger } from "#lib/logger.ts";
import { createRegistry } from "#lib/metrics.ts";
import { readConfigOrExit, runProgram } from "#lib/program.ts";
import { Readiness } from "#lib/readiness.ts";
import { createRpcMetrics } from "#rpc/call-metrics.ts";
import { createHttpListener } from "#rpc/http-listener.ts";
import { StreamAppender } from "#stream/append.ts";
import { commandConnection, openRedis, subscriberConnection } from "#stream/connection.ts";
import { allShards } from "#stream/keys.ts";
import { progressChannel } from "#stream/session-progress.ts";
import { Subscription } from "#stream/subscription.ts";
import { readConfig } from "./config.ts";
import { createGrpcServices } from "./connect/grpc-services.ts";
import { createIngestRoutes } from "./connect/ingest-routes.ts";
import { createRequestListener } from "./connect/request-listener.ts";
import { drain } from "./drain.ts";
import { createGrpcServer } from "./grpc/grpc-server.ts";
import { Health } from "./health/health.ts";
import { Pressure } from "./health/pressure.ts";
import { RecentAppends } from "./health/recent-appends.ts";
import { RedisWatch } from "./health/redis-watch.ts";
import { UnconfirmedReports } from "./health/unconfirmed-reports.ts";
import { Intake } from "./ingest.ts";
import { createIntakeMetrics } from "./ingest-metrics.ts";
import { createStreamParts } from "./streams/create-streams.ts";

/** So long a starting server waits for its Redis before it listens; then it listens all the same, and is not ready. */
const safeWithinMs = 5_000;

const config = readConfigOrExit(() => readConfig(process.env));
const logger = createLogger("server", config.logLevel);

// A stream of messages reads one ahead, not 16: what is read beyond BatchPipeline's bounds can be 1 MiB a piece.
setDefaultHighWaterMark(true, 1);

await runProgram(logger, async (program) => {
  const registry = createRegistry("server");
  const hostCheck = ({ host }: { host: string }) => createHostCheck([...config.allowedHosts, host]);
  const readiness = new Readiness(["redis"]);
  const admin = createAdminServer(readiness, registry, hostCheck(config.adminListen));
  const redis = openRedis(config.redisUrls, commandConnection);
  program.onStop("redis", 200, () => redis.disconnect());

  const appends = new RecentAppends();
  const unconfirmed = new UnconfirmedReports(redis, appends, logger);
  const appender = new StreamAppender(redis, {
    shards: config.shards,
    inFlightMax: config.inFlightBatchesMax,
    inFlightBytesMax: config.inFlightBytesMax,
    onAppended: (shard, id, entry) => appends.add(shard, id, entry),
  });
  const intake = new Intake(appender, createIntakeMetrics(registry));
  const streams = createStreamParts({
    redis,
    shards: config.shards,
    heartbeatMs: config.heartbeatMs,
    ageMsMax: config.streamAgeMsMax,
    // Half of what makes the appender refuse.
    roomBytesMax: config.inFlightBytesMax / 2,
    registry,
    logger,
  });
  const { epochs, watches, openStreams } = streams;
  const health = new Health();
  const parts = { ...streams, health, intake, startRpc: createRpcMetrics(registry) };
  const grpc = createGrpcServer({
    ...parts,
    checkHost: hostCheck(config.grpcListen),
    fastPath: config.grpcFastPath,
  });
  const routes = createIngestRoutes({ ...parts, requestBytesMax: config.inFlightBytesMax });
  const services = createGrpcServices(health, parts.startRpc);
  const onRequest = createRequestListener({ ...routes, services }, hostCheck(config.httpListen), logger);
  const http = createHttpListener(
    { http1: onRequest, http2: onRequest },
    { windowBytes: { stream: limits.batchBytesMax, connection: 4 * limits.batchBytesMax } },
  );

  const watch = new RedisWatch({
    redis,
    clockSkewMsMax: config.clockSkewMsMax,
    shards: allShards(config.shards),
    logger,
    lastId: (shard) => appends.lastId(shard),
    onPositions: (positions) => unconfirmed.observe(positions),
    onSafe(numbers) {
      if (epochs.learn(numbers)) {
        watches.epochsChanged();
        void openStreams.endOutdated();
      }
      intake.open();
      readiness.ready("redis");
      health.set(readiness.isReady);
    },
    onUnsafe(reason) {
      intake.close(reason);
      epochs.forget();
      readiness.notReady("redis", reason);
      health.set(false);
    },
  });

  const subscriber = openRedis(config.redisUrls, subscriberConnection);
  subscriber.on("error", (error: Error) => logger.debug({ err: error }, "a connection to Redis failed"));
  const news = new Subscription({
    redis: subscriber,
    channels: allShards(config.shards).map(progressChannel),
    logger,
    onMessage: streams.hear,
    onSubscribed: () => watches.askAgain(),
  });
  program.onStop("news", 100, () => {
    news.close();
    watches.stop();
  });

  const pressure = new Pressure({
    redis,
    shards: allShards(config.shards),
    memoryPercentMax: config.memoryPercentMax,
    backlogEntriesMax: config.backlogEntriesMax,
    registry,
    logger,
    onChange(reason) {
      intake.hold(reason);
      readiness.note("ingest", reason && `refusing batches: ${reason}`);
    },
  });

  const adminAddress = await listening(listen(admin, config.adminListen));
  program.onStop("admin", 300, () => admin.closeAllConnections());
  // A server that has just been started again would refuse what its neighbour can take.
  await Promise.race([watch.firstSafe, sleep(safeWithinMs, undefined, { ref: false })]);
  const addresses = {
    admin: adminAddress,
    http: await listening(listen(http.server, config.httpListen)),
    grpc: await listening(grpc.listen(config.grpcListen)),
  };
  program.onStop("drain", 9_000, async () => {
    readiness.notReady("server", "stopping");
    health.set(false);
    health.close();
    watch.stop();
    pressure.stop();
    await drain({ openStreams, intake, faces: [grpc, http], deadlineMs: 8_000 });
  });
  logger.info(addresses, "ready");
});

async function listening(address: Promise<{ host: string; port: number }>): Promise<string> {
  const { host, port } = await address;
  return `${host.includes(":") ? `[${host}]` : host}:${port}`;
}
