import { createAdminServer, listen } from "#lib/admin-server.ts";
import { createHostCheck } from "#lib/allowed-hosts.ts";
import { createLogger } from "#lib/logger.ts";
import { createRegistry } from "#lib/metrics.ts";
import { readConfigOrExit, runProgram } from "#lib/program.ts";
import { Readiness } from "#lib/readiness.ts";
import { createDatabase, createPool } from "#postgres/pool.ts";
import {
  commandConnection,
  openRedis,
  readConnection,
  subscriberConnection,
  untilFirstTry,
} from "#stream/connection.ts";
import { allShards } from "#stream/keys.ts";
import { requestsChannel } from "#stream/session-progress.ts";
import { Subscription } from "#stream/subscription.ts";
import { readConfig } from "./config.ts";
import { ArrivalTimes } from "./consume/arrival-times.ts";
import { createConsumer, flushesInFlight } from "./create-consumer.ts";
import { dateAnew } from "./maintenance/dating.ts";
import { LostBatches } from "./maintenance/lost-batches.ts";
import { keepPartitions, maintenancePool, startPartitionMaintenance } from "./maintenance/partitions.ts";
import { repeat } from "./maintenance/schedule.ts";
import { startStreamMaintenance } from "./maintenance/stream.ts";
import { StreamHistory } from "./maintenance/stream-history.ts";
import { createMetrics } from "./metrics.ts";
import { ProgressPublisher } from "./progress/publisher.ts";

const historyIntervalMs = 2_000;
const datingIntervalMs = 3_000;

/** Over a minute no two clocks drift apart by much. */
const clockIntervalMs = 60_000;

const config = readConfigOrExit(() => readConfig(process.env));
const logger = createLogger("consumer", config.logLevel);

await runProgram(logger, async (program, fail) => {
  const registry = createRegistry("consumer");
  const metrics = createMetrics(registry);
  const readiness = new Readiness(["redis", "partitions"]);
  const shards = allShards(config.shards);

  const adminServer = createAdminServer(
    readiness,
    registry,
    createHostCheck([...config.allowedHosts, config.adminListen.host]),
  );
  const admin = await listen(adminServer, config.adminListen);
  program.onStop("admin", 300, () => {
    adminServer.close();
    adminServer.closeAllConnections();
  });

  const pool = createPool(
    {
      databaseUrl: config.databaseUrl,
      applicationName: "fleetlog-consumer",
      connectionsMax: flushesInFlight + 2,
      statementTimeoutMs: config.statementTimeoutMs,
      lockTimeoutMs: 0,
      connectTimeoutMs: 5_000,
      settings: { synchronous_commit: "on" },
    },
    logger,
  );
  const db = createDatabase(pool);
  program.onStop("postgres", 300, () => pool.end());
  const slowPool = createPool(
    { databaseUrl: config.databaseUrl, lockTimeoutMs: 0, connectTimeoutMs: 5_000, ...maintenancePool },
    logger,
  );
  // Not awaited: PostgreSQL finishes a statement in flight.
  program.onStop("maintenance pool", 100, () => void slowPool.end());

  const open = (options: typeof commandConnection | typeof readConnection) => {
    const redis = openRedis(config.redisUrls, options);
    redis.on("error", (error: Error) => logger.warn({ err: error }, "a connection to Redis failed"));
    program.onStop("redis", 100, () => redis.disconnect());
    return redis;
  };
  const [readRedis, redis] = [open(readConnection), open(commandConnection)];
  await Promise.all([untilFirstTry(readRedis), untilFirstTry(redis)]);

  const publisher = new ProgressPublisher({ db, redis, shards: config.shards, logger });
  const arrivals = new ArrivalTimes(metrics, config.retentionDays.records);
  const consumer = createConsumer({
    config,
    pool,
    readRedis,
    commandRedis: redis,
    metrics,
    readiness,
    logger,
    receivedAt: (micros) => arrivals.plausible(micros),
    onCommitted: (progress) => publisher.publish(progress),
    fail,
  });
  const subscriber = openRedis(config.redisUrls, subscriberConnection);
  subscriber.on("error", (error: Error) => logger.debug({ err: error }, "a connection to Redis failed"));
  const requests = new Subscription({
    redis: subscriber,
    channels: shards.map(requestsChannel),
    logger,
    onMessage: (message) => publisher.onMessage(message),
  });
  program.onStop("progress requests", 100, () => requests.close());
  const stopping = new AbortController();
  program.onStop("consumer", config.drainTimeoutMs + 200, () => consumer.stop(config.drainTimeoutMs));
  program.onStop("maintenance", 100, () => stopping.abort());

  const maintenance = { config, db, redis, shards, metrics, readiness, logger, signal: stopping.signal };
  await keepPartitions(maintenance);
  await arrivals.measure(db);
  repeat(maintenance, "read PostgreSQL's clock", clockIntervalMs, () => arrivals.measure(db));
  await consumer.start();
  startStreamMaintenance({ ...maintenance, ...config, shards, consumer });
  startPartitionMaintenance({ ...maintenance, pool: slowPool });
  const dating = { ...maintenance, pool, recordDays: config.retentionDays.records };
  repeat(maintenance, "date records anew", datingIntervalMs, () => dateAnew(dating));
  const history = new StreamHistory(maintenance);
  repeat(maintenance, "compare the streams with their history", historyIntervalMs, () => history.check());
  const lostBatches = new LostBatches(maintenance);
  repeat(maintenance, "look for lost batches", historyIntervalMs, () => lostBatches.check());
  logger.info({ admin: `${admin.host}:${admin.port}`, name: config.consumerName }, "ready");
});
