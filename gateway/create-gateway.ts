import { join } from "node:path";
import type { Pool } from "pg";
import { createAdminHandler } from "#lib/admin-server.ts";
import { createHostCheck } from "#lib/allowed-hosts.ts";
import type { Logger } from "#lib/logger.ts";
import { Counter, Histogram, latencyBuckets, type Registry } from "#lib/metrics.ts";
import type { Readiness } from "#lib/readiness.ts";
import { QueryService } from "#proto/gen/fleetlog/v1/query_pb.ts";
import { createAdmission } from "#rpc/admission.ts";
import { createRpcMetrics } from "#rpc/call-metrics.ts";
import { createCors } from "#rpc/cors.ts";
import type { HttpListener } from "#rpc/http-listener.ts";
import type { StreamRedis } from "#stream/connection.ts";
import { allShards } from "#stream/keys.ts";
import { createCacheInterceptor } from "./cache/cache-interceptor.ts";
import { RedisResponseCache } from "./cache/redis-response-cache.ts";
import { ResponseCache } from "./cache/response-cache.ts";
import { createExportHandler } from "./export/export-handler.ts";
import { createRefusedCallsCounter } from "./fairness/refused-calls.ts";
import { createClientNamer } from "./http/client-name.ts";
import { createDashboardHandler } from "./http/dashboard-files.ts";
import { createGatewayListener, type PlainHandler } from "./http/gateway-server.ts";
import { createRpcHandlers } from "./http/rpc-handlers.ts";
import { createOpenapiHandler } from "./openapi/serve-openapi.ts";
import { createLagReader } from "./query/lag-reader.ts";
import { ReadPool, type ReadPoolOptions } from "./query/read-pool.ts";
import { createRestHandlers } from "./rest/rest-handlers.ts";
import { createQueryService } from "./rpc/query-service.ts";
import { createTailSources, type TailOptions } from "./tail/create-tail-sources.ts";
import { createTailEventsHandler } from "./tail/server-sent-events.ts";

export interface GatewayOptions {
  /** Chooses the pool for each read. */
  readonly choosePool: () => Pool;
  readonly options: ReadPoolOptions;
  /** For short commands, and failing fast; undefined: nothing is cached, and the stream is not read. */
  readonly redis: StreamRedis | undefined;
  /** A second connection, for blocking reads of the stream; undefined: there is no live tail. */
  readonly tailRedis: StreamRedis | undefined;
  readonly shards: number;
  readonly exportsMax: number;
  /** Proxies whose X-Forwarded-For is trusted. */
  readonly trustedProxies: readonly string[];
  readonly allowedHosts: readonly string[];
  readonly corsOrigins: readonly string[];
  readonly tails: TailOptions;
  readonly readiness: Readiness;
  readonly registry: Registry;
  readonly logger: Logger;
}

/** Assembles the gateway; nothing listens yet. `closeTails` ends the live tails, which have no end of their own. */
export function createGateway(options: GatewayOptions): {
  listener: HttpListener;
  readPool: ReadPool;
  closeTails: () => void;
} {
  const { choosePool, readiness, registry, logger, redis, shards } = options;
  const querySeconds = new Histogram({
    name: "fleetlog_query_seconds",
    help: "Time that an RPC spent waiting for and reading from PostgreSQL",
    labelNames: ["query"],
    buckets: latencyBuckets,
    registers: [registry],
  });
  const cacheRequestsTotal = new Counter({
    name: "fleetlog_cache_requests_total",
    help: "Calls by cache result: hit (cached, or shared with an identical call in flight) or miss",
    labelNames: ["method", "result"],
    registers: [registry],
  });
  const refused = createRefusedCallsCounter(registry);
  const nameClient = createClientNamer(options.trustedProxies);
  const readPool = new ReadPool(choosePool, options.options, { seconds: querySeconds, refused });
  const tails = createTailSources(options, readPool, refused);
  const readLag = redis && createLagReader(redis, allShards(shards));
  const service = createQueryService({ readPool, readLag, tails });
  const startRpc = createRpcMetrics(registry);
  const rpc = createRpcHandlers((router) => router.service(QueryService, service), {
    startRpc,
    cache: createCacheInterceptor(redis && new RedisResponseCache(redis, logger), cacheRequestsTotal),
    logger,
  });
  const rest = createRestHandlers(rpc);
  const tail = createTailEventsHandler(rpc);
  const handlers = {
    admin: createAdminHandler(readiness, registry),
    page: createDashboardHandler(pageFolder),
    rpc,
    kept: new ResponseCache(startRpc, cacheRequestsTotal),
    rest: {
      paths: [...rest.paths, tailPath],
      find: (path: string) => (path === tailPath ? tail : rest.find(path)),
    },
    plain: new Map<string, PlainHandler>([
      ["/openapi.json", createOpenapiHandler()],
      ["/v1/export", createExportHandler({ ...options, readPool, refused })],
    ]),
  };
  const listener = createGatewayListener(handlers, {
    admit: createAdmission(createHostCheck(options.allowedHosts), (request) => ({
      client: nameClient(request),
    })),
    cors: createCors(options.corsOrigins),
    logger,
  });
  return { listener, readPool, closeTails: () => tails?.hub.close() };
}

const tailPath = "/v1/tail";

/** Built by dashboard/build.ts. */
const pageFolder = join(import.meta.dirname, "../dashboard/dist");
