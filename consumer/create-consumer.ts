import type { Pool } from "pg";
import { copyBytesMax } from "#batch/copy-format.ts";
import { CopyRows } from "#batch/copy-rows.ts";
import type { StreamRedis } from "#stream/connection.ts";
import { allShards } from "#stream/keys.ts";
import type { Config } from "./config.ts";
import { Consumer, type ConsumerOptions } from "./consume/consumer.ts";
import { createSource } from "./consume/source.ts";
import { FlushTransaction } from "./flush/transaction.ts";
import { DeadLetterRate } from "./tables/dead-letter-rate.ts";
import { DeviceKeys } from "./tables/devices.ts";

/** Flushes in flight: one is encoded while the other commits. */
export const flushesInFlight = 2;

export interface CreateConsumerOptions extends Omit<ConsumerOptions, "source" | "transactions" | "limits"> {
  readonly config: Pick<
    Config,
    "shards" | "consumerName" | "flushRecordsMax" | "flushBytesMax" | "flushIntervalMs"
  >;
  /** At least {@link flushesInFlight} connections, with `synchronous_commit` on. */
  readonly pool: Pool;
  /** Reads that wait for entries; used for nothing else. */
  readonly readRedis: StreamRedis;
  readonly commandRedis: StreamRedis;
}

/** Builds the consumer; it reads nothing before `start()`. */
export function createConsumer(options: CreateConsumerOptions): Consumer {
  const { config, pool, readRedis, commandRedis, ...rest } = options;
  const deviceKeys = new DeviceKeys(pool);
  const deadLetterRate = new DeadLetterRate();
  const rowsBytesMax = copyBytesMax(config.flushBytesMax, config.flushRecordsMax);
  return new Consumer({
    ...rest,
    source: createSource(readRedis, commandRedis, {
      shards: allShards(config.shards),
      consumer: config.consumerName,
      bytesMax: config.flushBytesMax,
    }),
    transactions: Array.from(
      { length: flushesInFlight },
      () => new FlushTransaction(pool, deviceKeys, new CopyRows(rowsBytesMax), deadLetterRate),
    ),
    limits: {
      recordsMax: config.flushRecordsMax,
      bytesMax: config.flushBytesMax,
      intervalMs: config.flushIntervalMs,
    },
  });
}
