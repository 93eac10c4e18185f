import { hostname } from "node:os";
import { z } from "zod";
import { limits } from "#batch/limits.ts";
import { allowedHosts } from "#lib/allowed-hosts.ts";
import {
  ConfigError,
  type Env,
  integer,
  listenAddress,
  logLevel,
  readEnv,
  url,
  urls,
  word,
} from "#lib/config.ts";
import type { PartitionIndex } from "#postgres/partition-indexes.ts";
import { retentionOf, retentionShape } from "./maintenance/retention-days.ts";

export type Config = ReturnType<typeof readConfig>;

/** What the consumer needs; one name, unit and bound per variable. Throws a ConfigError that lists every problem. */
export function readConfig(env: Env) {
  const config = readEnv(
    {
      LOG_LEVEL: logLevel,
      ADMIN_LISTEN: listenAddress().default({ host: "127.0.0.1", port: 0 }),
      ALLOWED_HOSTS: allowedHosts(),
      DATABASE_URL: url(["postgres", "postgresql"]),
      REDIS_URL: urls(["redis", "rediss"]),
      STREAM_SHARDS: integer(1, 1024).default(4),
      CONSUMER_NAME: z
        .string()
        .regex(/^[A-Za-z0-9._:-]{1,128}$/, "wanted 1 to 128 of A-Z a-z 0-9 . _ : -")
        .default(`${hostname()}-${process.pid}`),
      FLUSH_RECORDS_MAX: integer(limits.recordsMax, 1_000_000).default(20_000),
      FLUSH_BYTES_MAX: integer(limits.batchBytesMax, 64 << 20).default(4 << 20),
      FLUSH_INTERVAL_MS: integer(1, 10_000).default(100),
      STATEMENT_TIMEOUT_MS: integer(1_000, 600_000).default(30_000),
      RECLAIM_IDLE_MS: integer(3_000, 3_600_000).default(90_000),
      DRAIN_TIMEOUT_MS: integer(0, 8_000).default(7_000),
      TAIL_WINDOW_MS: integer(0, 86_400_000).default(60_000),
      ...retentionShape,
      CLOSED_DAY_INDEXES: word("all", "text", "attributes", "none").default("all"),
      INDEX_MEMORY_MEBIBYTES: integer(8, 16_384).default(128),
    },
    env,
  );
  if (config.RECLAIM_IDLE_MS < 3 * config.STATEMENT_TIMEOUT_MS) {
    throw new ConfigError([
      `RECLAIM_IDLE_MS=${config.RECLAIM_IDLE_MS}: wanted at least 3 × STATEMENT_TIMEOUT_MS (${config.STATEMENT_TIMEOUT_MS}), ` +
        "or entries are taken over from consumers that are still storing them",
    ]);
  }
  return Object.freeze({
    ...config,
    retentionDays: retentionOf(config),
    closedDayIndexes: indexesOf(config.CLOSED_DAY_INDEXES),
  });
}

function indexesOf(wish: PartitionIndex | "all" | "none"): readonly PartitionIndex[] {
  if (wish === "all") return ["text", "attributes"];
  return wish === "none" ? [] : [wish];
}
