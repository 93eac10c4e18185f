import { limits } from "#batch/limits.ts";
import { listen } from "#lib/admin-server.ts";
import { createHostCheck } from "#lib/allowed-hosts.ts";
import type { Logger } from "#lib/logger.ts";
import type { Registry } from "#lib/metrics.ts";
import type { Readiness } from "#lib/readiness.ts";
import { createAdmission } from "#rpc/admission.ts";
import { createRpcMetrics } from "#rpc/call-metrics.ts";
import { createCors } from "#rpc/cors.ts";
import { createHttpListener } from "#rpc/http-listener.ts";
import { StreamAppender } from "#stream/append.ts";
import type { StreamRedis } from "#stream/connection.ts";
import { allShards } from "#stream/keys.ts";
import { progressChannel } from "#stream/session-progress.ts";
import { Subscription } from "#stream/subscription.ts";
import type { Config } from "./config.ts";
import { createGrpcServices } from "./connect/grpc-services.ts";
import { createIngestRoutes } from "./connect/ingest-routes.ts";
import { RequestBudget } from "./connect/request-budget.ts";
import { createRequestListener } from "./connect/request-listener.ts";
import { drain } from "./drain.ts";
import { createGrpcServer } from "./grpc/grpc-server.ts";
import { Health } from "./health/health.ts";
import { Pressure } from "./health/pressure.ts";
import { RecentAppends } from "./health/recent-appends.ts";
import { RedisWatch } from "./health/redis-watch.ts";
import { UnconfirmedReports } from "./health/unconfirmed-reports.ts";
import { createStructuredLogs } from "./http/structured-logs.ts";
import { Ingest } from "./ingest.ts";
import { createIngestMetrics } from "./ingest-metrics.ts";
import { otlpMethods } from "./otlp/grpc.ts";
import { createOtlpHttp } from "./otlp/http.ts";
import { OtlpIngest } from "./otlp/otlp-ingest.ts";
import { createStreams } from "./streams/create-streams.ts";

interface CreateServerOptions {
  readonly config: Config;
  /** Appends and short commands; with the options of `commandConnection`. */
  readonly redis: StreamRedis;
  /** What consumers publish; with the options of `subscriberConnection`. */
  readonly subscriber: StreamRedis;
  readonly readiness: Readiness;
  readonly registry: Registry;
  readonly logger: Logger;
}

interface Address {
  readonly host: string;
  readonly port: number;
}

interface Server {
  /** Resolves once Redis was found safe for the first time. */
  readonly firstSafe: Promise<void>;
  /** Opens both listeners; resolves with their addresses. */
  listen(): Promise<{ readonly http: Address; readonly grpc: Address }>;
  /** Drains streams and calls, for at most `deadlineMs`, then closes every connection. */
  drain(deadlineMs: number): Promise<void>;
  /** Ends the subscription to progress. Call after {@link drain}. */
  close(): void;
}

/** Builds the ingest server; it listens only after `listen()`, and refuses batches until Redis is safe. */
export function createServer(options: CreateServerOptions): Server {
  const { config, redis, subscriber, readiness, registry, logger } = options;
  const shards = allShards(config.shards);
  const appends = new RecentAppends();
  const unconfirmed = new UnconfirmedReports(redis, appends, logger);
  const appender = new StreamAppender(redis, {
    shards: config.shards,
    inFlightMax: config.inFlightBatchesMax,
    inFlightBytesMax: config.inFlightBytesMax,
    onAppended: (shard, id, entry) => appends.add(shard, id, entry),
  });
  const ingest = new Ingest(appender, createIngestMetrics(registry), {
    rejectsCutText: config.rejectsCutText,
  });
  const streams = createStreams({
    redis,
    shards: config.shards,
    heartbeatMs: config.heartbeatMs,
    ageMsMax: config.streamAgeMsMax,
    // Streams slow down at half of what makes the appender refuse.
    budgetBytesMax: config.inFlightBytesMax / 2,
    registry,
    logger,
  });
  const { epochs, subscriptions, openStreams } = streams;
  const health = new Health();
  const startRpc = createRpcMetrics(registry);
  const admission = ({ host }: { host: string }) =>
    createAdmission(createHostCheck([...config.allowedHosts, host]));
  const requestBudget = new RequestBudget(config.inFlightBytesMax, config.bodyMsMax);
  const otlp = new OtlpIngest(ingest, config.otlp);
  const grpc = createGrpcServer({
    ...streams,
    health,
    ingest,
    startRpc,
    admit: admission(config.grpcListen),
    fastPath: config.grpcFastPath,
    requestBudget,
    fastMethods: otlpMethods(otlp, requestBudget),
  });
  const routes = createIngestRoutes({
    ...streams,
    ingest,
    startRpc,
    logger,
    requestBudget,
  });
  const services = createGrpcServices(health, { startRpc, logger });
  const { recogniseRetries } = config.otlp;
  const { decompressor } = streams;
  const endpoints = [createStructuredLogs({ ingest, decompressor, requestBudget, recogniseRetries })];
  const otlpHttp = createOtlpHttp({ ...streams, otlp, requestBudget, startRpc, logger });
  const onRequest = createRequestListener(
    { ...routes, services, endpoints, otlp: otlpHttp },
    { cors: createCors(config.corsOrigins), startRpc, logger },
  );
  const http = createHttpListener(
    { http1: onRequest, http2: onRequest },
    {
      admit: admission(config.httpListen),
      windowBytes: { stream: limits.batchBytesMax, connection: 4 * limits.batchBytesMax },
    },
  );

  const watch = new RedisWatch({
    redis,
    clockSkewMsMax: config.clockSkewMsMax,
    shards,
    logger,
    lastId: (shard) => appends.lastId(shard),
    onPositions: (positions) => unconfirmed.observe(positions),
    onSafe(numbers) {
      if (epochs.update(numbers)) {
        subscriptions.epochsChanged();
        void openStreams.endOutdated();
      }
      ingest.open();
      readiness.ready("redis");
      health.set(readiness.isReady);
    },
    onUnsafe(reason) {
      ingest.close(reason);
      epochs.forget();
      readiness.notReady("redis", reason);
      health.set(false);
    },
  });
  const progress = new Subscription({
    redis: subscriber,
    channels: shards.map(progressChannel),
    logger,
    onMessage: streams.onProgressMessage,
    onSubscribed: () => subscriptions.requestAll(),
  });
  const pressure = new Pressure({
    redis,
    shards,
    memoryPercentMax: config.memoryPercentMax,
    backlogEntriesMax: config.backlogEntriesMax,
    registry,
    logger,
    onChange(reason) {
      ingest.hold(reason);
      readiness.note("ingest", reason && `refusing batches: ${reason}`);
    },
  });

  return {
    firstSafe: watch.firstSafe,
    listen: async () => ({
      http: await listen(http.server, config.httpListen),
      grpc: await grpc.listen(config.grpcListen),
    }),
    async drain(deadlineMs) {
      health.set(false);
      health.close();
      watch.stop();
      pressure.stop();
      await drain({ openStreams, ingest, listeners: [grpc, http], deadlineMs });
    },
    close() {
      progress.close();
      subscriptions.stop();
    },
  };
}
