import type { Logger } from "#lib/logger.ts";
import type { Counter, Registry } from "#lib/metrics.ts";
import type { StreamRedis } from "#stream/connection.ts";
import { Shares } from "../fairness/shares.ts";
import type { ReadPool } from "../query/read-pool.ts";
import { TailHub } from "./tail-hub.ts";
import type { TailSources } from "./tail-logs.ts";
import { createTailMetrics } from "./tail-metrics.ts";

export interface TailOptions {
  readonly tailsMax: number;
  /** The consumers' setting. */
  readonly tailWindowMs: number;
  /** The largest lag of data read from PostgreSQL. */
  readonly replicaLagMsMax: number;
  /** The approximate memory of the ring; default 64 MiB. */
  readonly ringBytesMax?: number;
  /** Default 15 s. */
  readonly heartbeatMs?: number;
}

export interface TailSourcesOptions {
  readonly redis: StreamRedis | undefined;
  readonly tailRedis: StreamRedis | undefined;
  readonly shards: number;
  readonly tails: TailOptions;
  readonly registry: Registry;
  readonly logger: Logger;
}

/** The resources of live tails; undefined without Redis. */
export function createTailSources(
  { redis, tailRedis, shards, tails, registry, logger }: TailSourcesOptions,
  readPool: ReadPool,
  refused: Counter<"limit">,
): TailSources | undefined {
  if (redis === undefined || tailRedis === undefined) return undefined;
  const { tailsMax, tailWindowMs, replicaLagMsMax, ringBytesMax = 64 << 20, heartbeatMs = 15_000 } = tails;
  const metrics = createTailMetrics(registry);
  const limits = { tailWindowMs, ringBytesMax };
  const hub = new TailHub({ redis, waitingRedis: tailRedis, shards, ...limits, metrics, logger });
  return {
    hub,
    readPool,
    redis,
    heartbeatMs,
    replicaLagMsMax,
    metrics,
    shares: new Shares({ name: "tails", setting: "TAILS_MAX", max: tailsMax, refused }),
    catchUps: new Shares({ name: "live tails catching up", max: catchUpsMax, refused }),
  };
}

/** Each reads the stream on its own. */
const catchUpsMax = 32;
