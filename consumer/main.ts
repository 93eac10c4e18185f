import { copyBytesMax } from "#batch/copy-format.ts";
import { CopyRows } from "#batch/copy-rows.ts";
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
  type StreamRedis,
  subscriberConnection,
  untilFirstTry,
} from "#stream/connection.ts";
import { allShards } from "#stream/keys.ts";
import { Reclaimer } from "#stream/reclaim.ts";
import { questionsChannel } from "#stream/session-news.ts";
import { Subscription } from "#stream/subscription.ts";
import { readConfig } from "./config.ts";
import { ArrivalTimes } from "./consume/arrival-times.ts";
import { Consumer } from "./consume/consumer.ts";
import { createSource } from "./consume/source.ts";
import { FlushWriter } from "./flush/transaction.ts";
import { startUpkeep, upkeepPool } from "./maintenance/database-schedule.ts";
import { UnconfirmedBatches } from "./maintenance/lost-batches.ts";
import { keepPartitions, repeat, startHousekeeping } from "./maintenance/schedule.ts";
import { StreamHistory } from "./maintenance/stream-history.ts";
import { createMetrics } from "./metrics.ts";
import { SessionAnswers } from "./progress/publisher.ts";
import { DeadLetterRate } from "./tables/dead-letter-rate.ts";
import { DeviceKeys } from "./tables/devices.ts";

/** One flush is encoded while the other commits. */
const writersCount = 2;

const historyIntervalMs = 2_000;

/** Over a minute no two clocks drift apart by much. */
const clockIntervalMs = 60_000;

const config = readConfigOrExit(() => readConfig(process.env));
const logger = createLogger("consumer", config.LOG_LEVEL);

await runProgram(logger, async (program, fail) => {
  const registry = createRegistry("consumer");
  const metrics = createMetrics(registry);
  const readiness = new Readiness(["redis", "partitions"]);

  const adminServer = createAdminServer(
    readiness,
    registry,
    createHostCheck([...config.ALLOWED_HOSTS, config.ADMIN_LISTEN.host]),
  );
  const admin = await listen(adminServer, config.ADMIN_LISTEN);
  program.onStop("admin", 500, () => {
    adminServer.close();
    adminServer.closeAllConnections();
  });

  const pool = createPool(
    {
      databaseUrl: config.DATABASE_URL,
      applicationName: "fleetlog-consumer",
      connectionsMax: writersCount + 2,
      statementTimeoutMs: config.STATEMENT_TIMEOUT_MS,
      lockTimeoutMs: 0,
      connectTimeoutMs: 5_000,
      settings: { synchronous_commit: "on" },
    },
    logger,
  );
  const db = createDatabase(pool);
  program.onStop("postgres", 500, () => pool.end());
  const upkeepConnections = createPool(
    { databaseUrl: config.DATABASE_URL, lockTimeoutMs: 0, connectTimeoutMs: 5_000, ...upkeepPool },
    logger,
  );
  // Not waited for: PostgreSQL finishes what it is at.
  program.onStop("upkeep", 100, () => void upkeepConnections.end());

  const [readRedis, commandRedis] = [readConnection, commandConnection].map((options) => {
    const redis = openRedis(config.REDIS_URL, options);
    redis.on("error", (error: Error) => logger.warn({ err: error }, "a connection to Redis failed"));
    program.onStop("redis", 500, () => redis.disconnect());
    return redis;
  }) as [StreamRedis, StreamRedis];
  await Promise.all([untilFirstTry(readRedis), untilFirstTry(commandRedis)]);

  const shards = allShards(config.STREAM_SHARDS);
  const deviceKeys = new DeviceKeys(pool);
  const rowsBytesMax = copyBytesMax(config.FLUSH_BYTES_MAX, config.FLUSH_RECORDS_MAX);
  const answers = new SessionAnswers({ db, redis: commandRedis, shards: config.STREAM_SHARDS, logger });
  const letterRate = new DeadLetterRate();
  const arrivals = new ArrivalTimes(metrics, config.retentionDays.records);
  const consumer = new Consumer({
    source: createSource(readRedis, commandRedis, {
      shards,
      consumer: config.CONSUMER_NAME,
      bytesMax: config.FLUSH_BYTES_MAX,
    }),
    writers: Array.from(
      { length: writersCount },
      () => new FlushWriter(pool, deviceKeys, new CopyRows(rowsBytesMax), letterRate),
    ),
    limits: {
      recordsMax: config.FLUSH_RECORDS_MAX,
      bytesMax: config.FLUSH_BYTES_MAX,
      intervalMs: config.FLUSH_INTERVAL_MS,
    },
    metrics,
    readiness,
    logger,
    receivedAt: (micros) => arrivals.plausible(micros),
    onCommitted: (progress) => answers.announce(progress),
    fail,
  });
  const subscriber = openRedis(config.REDIS_URL, subscriberConnection);
  subscriber.on("error", (error: Error) => logger.debug({ err: error }, "a connection to Redis failed"));
  const questions = new Subscription({
    redis: subscriber,
    channels: shards.map(questionsChannel),
    logger,
    onMessage: (message) => answers.take(message),
  });
  program.onStop("questions", 100, () => questions.close());
  const stopping = new AbortController();
  program.onStop("consumer", config.DRAIN_TIMEOUT_MS + 500, () => consumer.stop(config.DRAIN_TIMEOUT_MS));
  program.onStop("housekeeping", 100, () => stopping.abort());

  const parts = {
    db,
    redis: commandRedis,
    shards,
    tailWindowMs: config.TAIL_WINDOW_MS,
    consumer,
    reclaimer: new Reclaimer(commandRedis, {
      shards,
      consumer: config.CONSUMER_NAME,
      idleMinMs: config.RECLAIM_IDLE_MS,
      countMax: 100,
    }),
    metrics,
    readiness,
    logger,
    signal: stopping.signal,
  };
  await keepPartitions(parts);
  await arrivals.measure(db);
  repeat(parts, "ask for PostgreSQL's clock", clockIntervalMs, () => arrivals.measure(db));
  await consumer.start();
  startHousekeeping(parts);
  startUpkeep(parts, upkeepConnections, config);
  const history = new StreamHistory(parts);
  repeat(parts, "compare the streams with what was seen", historyIntervalMs, () => history.look());
  const unconfirmed = new UnconfirmedBatches(parts);
  repeat(parts, "look for lost batches", historyIntervalMs, () => unconfirmed.look());
  logger.info({ admin: `${admin.host}:${admin.port}`, name: config.CONSUMER_NAME }, "ready");
});
