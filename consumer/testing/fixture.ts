import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { Redis } from "ioredis";
import { Client, type Pool } from "pg";
import { copyBytesMax } from "#batch/copy-format.ts";
import { CopyRows } from "#batch/copy-rows.ts";
import { digest } from "#batch/digest.ts";
import { scan } from "#batch/scan.ts";
import { createLogger } from "#lib/logger.ts";
import { createRegistry } from "#lib/metrics.ts";
import { Readiness } from "#lib/readiness.ts";
import { createPool } from "#postgres/pool.ts";
import { LogBatchSchema, type LogRecordSchema, Severity } from "#proto/gen/fleetlog/v1/log_pb.ts";
import { StreamAppender } from "#stream/append.ts";
import { commandConnection, readConnection } from "#stream/connection.ts";
import type { Entry } from "#stream/entry.ts";
import { allShards } from "#stream/keys.ts";
import { readLag } from "#stream/lag.ts";
import { StreamReader } from "#stream/reader.ts";
import type { SessionProgress } from "#stream/session-progress.ts";
import { createDatabase } from "#test/support/postgres.ts";
import { startRedis } from "#test/support/redis.ts";
import { waitFor } from "#test/support/wait-for.ts";
import { createConsumer } from "../create-consumer.ts";
import { FlushTransaction } from "../flush/transaction.ts";
import { createMetrics } from "../metrics.ts";
import { DeadLetterRate } from "../tables/dead-letter-rate.ts";
import { DeviceKeys } from "../tables/devices.ts";

type RecordInit = MessageInitShape<typeof LogRecordSchema>;

export const shardCount = 2;
export const logger = createLogger("test", "silent");

/** 2026-01-31T23:59:59.5Z: half a second before a day ends. */
export const receivedAtMicros = Date.UTC(2026, 0, 31, 23, 59, 59, 500) * 1000;

/** An entry as a server appends it; the same arguments give the same entry. */
export function makeEntry(
  sequence: number,
  records: readonly RecordInit[],
  changes: Partial<Pick<Entry, "deviceId" | "sessionId" | "receivedAtMicros">> = {},
): Entry {
  const named = { deviceId: "device-1", sessionId: "boot-1", receivedAtMicros, ...changes };
  const message = create(LogBatchSchema, {
    deviceId: named.deviceId,
    sessionId: named.sessionId,
    sequence: BigInt(sequence),
    records: [...records],
  });
  const batch = Buffer.from(toBinary(LogBatchSchema, message));
  return { ...named, sequence: BigInt(sequence), batch, digest: digest(scan(batch)) };
}

/** `count` records, a second apart, with alternating severities. */
export function records(count: number, message = "hello"): readonly RecordInit[] {
  return Array.from({ length: count }, (_, index) => ({
    timeUnixNano: BigInt(receivedAtMicros + index * 1_000_000) * 1000n,
    severity: [Severity.INFO, Severity.WARN, Severity.ERROR][index % 3]!,
    logger: "test",
    message: `${message} ${index}`,
    traceId: Buffer.from("0af7651916cd43dd8448eb211c80319c", "hex"),
    eventName: "test.event",
  }));
}

/**
 * A database and a Redis for one test, and helpers to query both. Everything is stopped in reverse order when the test
 * leaves the block: `await using fixture = await createFixture()`.
 */
export async function createFixture() {
  await using started = new AsyncDisposableStack();
  const database = started.use(await createDatabase());
  const redisServer = started.use(await startRedis());
  const sqlClient = new Client({ connectionString: database.url });
  sqlClient.on("error", () => undefined);
  await sqlClient.connect();
  started.defer(() => sqlClient.end());
  const redis = await connect(started, redisServer.url, commandConnection);
  const appender = new StreamAppender(redis, {
    shards: shardCount,
    inFlightMax: 10_000,
    inFlightBytesMax: 64 << 20,
  });
  const shards = allShards(shardCount);
  const stack = started.move();
  return {
    databaseUrl: database.url,
    redisUrl: redisServer.url,
    redis,
    stack,
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
    append: async (...entries: readonly Entry[]) => {
      await Promise.all(entries.map((entry) => appender.append(entry)));
    },
    /** The rows of a query. */
    rows: async (sql: string): Promise<Record<string, unknown>[]> => (await sqlClient.query(sql)).rows,
    count: async (table: string): Promise<number> =>
      Number((await sqlClient.query(`select count(*) from ${table}`)).rows[0].count),
    /** Drops the day partitions around today, for tests that use another day. */
    dropDays: async (): Promise<void> => {
      const { rows } = await sqlClient.query<{ name: string }>(
        "select relname as name from pg_class where relname ~ '^record_batches_\\d{8}$'",
      );
      for (const { name } of rows) await sqlClient.query(`drop table ${name}`);
    },
    /** Takes a lock that keeps flushes from committing; "commit" releases it. */
    holdFlushes: () => sqlClient.query("begin; lock table log_statistics in access exclusive mode"),
    /** The PostgreSQL process of the flush that waits for that lock. */
    heldFlush: () =>
      waitFor("a flush to wait for the lock", async (): Promise<number | undefined> => {
        const { rows } = await sqlClient.query<{ pid: number }>(
          `select pid from pg_locks join pg_database on pg_database.oid = database
            where datname = current_database() and not granted`,
        );
        return rows[0]?.pid;
      }),
    /** Entries that no consumer has acknowledged, delivered or not. */
    unacknowledged: async (): Promise<number> => {
      const lags = await readLag(redis, shards);
      return lags.reduce((sum, lag) => sum + lag.pendingEntries + lag.undelivered.atMost, 0);
    },
  };
}

export type Fixture = Awaited<ReturnType<typeof createFixture>>;

export function openTestPool(fixture: Fixture, statementTimeoutMs = 10_000): Pool {
  const pool = createPool(
    {
      databaseUrl: fixture.databaseUrl,
      applicationName: "fleetlog-consumer",
      connectionsMax: 3,
      statementTimeoutMs,
      lockTimeoutMs: 0,
      connectTimeoutMs: 2_000,
      settings: { synchronous_commit: "on" },
    },
    logger,
  );
  fixture.stack.defer(() => pool.end());
  return pool;
}

export function createTransaction(
  pool: Pool,
  deviceKeys = new DeviceKeys(pool),
  deadLetterRate = new DeadLetterRate(),
): FlushTransaction {
  return new FlushTransaction(pool, deviceKeys, new CopyRows(copyBytesMax(4 << 20, 20_000)), deadLetterRate);
}

/** Starts a consumer within this process, without maintenance; stopped with its fixture. */
export async function startConsumer(fixture: Fixture, name = "consumer-1", statementTimeoutMs = 10_000) {
  const commandRedis = await connect(fixture.stack, fixture.redisUrl, commandConnection);
  const metrics = createMetrics(createRegistry("consumer"));
  const readiness = new Readiness([]);
  const failures: unknown[] = [];
  const committed: SessionProgress[] = [];
  const consumer = createConsumer({
    config: {
      shards: shardCount,
      consumerName: name,
      flushRecordsMax: 20_000,
      flushBytesMax: 4 << 20,
      flushIntervalMs: 5,
    },
    pool: openTestPool(fixture, statementTimeoutMs),
    readRedis: await connect(fixture.stack, fixture.redisUrl, readConnection),
    commandRedis,
    metrics,
    readiness,
    logger,
    receivedAt: (micros) => micros,
    onCommitted: (progress) => committed.push(...progress),
    fail: (error) => failures.push(error),
  });
  const stop = () => consumer.stop(5_000);
  fixture.stack.defer(stop);
  await consumer.start();
  return { consumer, commandRedis, metrics, readiness, failures, committed, stop };
}

/** Delivers the entries to another member of the group, which never acknowledges them. */
export async function holdEntries(fixture: Fixture, name: string, entries: readonly Entry[]): Promise<void> {
  const redis = await connect(fixture.stack, fixture.redisUrl, readConnection);
  const options = { shards: allShards(shardCount), consumer: name, countMax: 10, bytesMax: 1 << 20 };
  const reader = new StreamReader(redis, options);
  await fixture.append(...entries);
  for (let held = 0; held < entries.length; ) held += (await reader.read()).entries.length;
}

/** A connected client with the options programs use. */
async function connect(
  stack: AsyncDisposableStack,
  url: string,
  options: typeof commandConnection | typeof readConnection,
): Promise<Redis> {
  const redis = new Redis(url, { ...options, lazyConnect: true });
  redis.on("error", () => undefined);
  stack.defer(() => redis.disconnect());
  await redis.connect();
  return redis;
}
