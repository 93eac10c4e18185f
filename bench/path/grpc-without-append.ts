import { createLogger } from "#lib/logger.ts";
import { createRegistry } from "#lib/metrics.ts";
import { createRpcMetrics } from "#rpc/call-metrics.ts";
import { RequestBudget } from "#server/connect/request-budget.ts";
import { createGrpcServer } from "#server/grpc/grpc-server.ts";
import { Health } from "#server/health/health.ts";
import { Ingest } from "#server/ingest.ts";
import { createIngestMetrics } from "#server/ingest-metrics.ts";
import { createStreams } from "#server/streams/create-streams.ts";

/**
 * The ingest server with everything but the append: gRPC, scan, digest and ack, and no Redis behind. It tells what the
 * server itself costs apart from an fsync on the same cores. Forked by the benchmark, with `off` as argument for
 * GRPC_FAST_PATH=off; tells its address to the parent.
 */
const registry = createRegistry("server");
const ingest = new Ingest({ append: () => Promise.resolve() }, createIngestMetrics(registry));
ingest.open();
const server = createGrpcServer({
  ingest,
  health: new Health(),
  ...createStreams({
    redis: { spublish: () => Promise.resolve(0) },
    shards: 4,
    heartbeatMs: 30_000,
    ageMsMax: 3_600_000,
    budgetBytesMax: 64 << 20,
    registry,
    logger: createLogger("server", "silent"),
  }),
  startRpc: createRpcMetrics(registry),
  requestBudget: new RequestBudget(128 << 20, 120_000),
  fastPath: process.argv[2] !== "off",
});
process.on("disconnect", () => process.exit(0));
const { host, port } = await server.listen({ host: "127.0.0.1", port: 0 });
process.send?.(`${host}:${port}`);
