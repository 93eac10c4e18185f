import { createHash } from "node:crypto";
import type { TestContext } from "node:test";
import { create, toBinary } from "@bufbuild/protobuf";
import { type LogBatch, LogBatchSchema, type LogRecord } from "#proto/gen/fleetlog/v1/log_pb.ts";
import type { StreamAppender } from "#stream/append.ts";
import type { Entry } from "#stream/entry.ts";
import { createAppender, startTestRedis } from "#stream/testing/redis-clients.ts";
import { createDatabase } from "#test/support/postgres.ts";
import { startGateway } from "../../testing/start-gateway.ts";

export type TestRecord = Partial<
  Pick<LogRecord, "timeUnixNano" | "severity" | "logger" | "message" | "attributes">
>;

/** The shards of every gateway under test. */
export const shards = 2;

type Tails = NonNullable<Parameters<typeof startGateway>[1]>["tails"];

/** A gateway over an empty database and a Redis of its own, with functions that append to the stream. */
export async function startTailedGateway(t: TestContext, tails: NonNullable<Tails> = {}) {
  // The tests do not depend on the disk, and a busy machine may fsync for seconds.
  const server = await startTestRedis(t, { appendonly: "no" });
  const redis = await server.client();
  const database = await createDatabase();
  t.after(() => database[Symbol.asyncDispose]());
  const start = async (tails: NonNullable<Tails> = {}) => {
    const gateway = await startGateway(database.url, { redisUrl: server.url, tails });
    let stopped: Promise<void> | undefined;
    const stop = () => (stopped ??= gateway[Symbol.asyncDispose]());
    t.after(stop);
    return { ...gateway, stop };
  };
  const appender = createAppender(redis, shards);
  return {
    server,
    redis,
    databaseUrl: database.url,
    gateway: await start(tails),
    /** Another gateway over the same. */
    start,
    append: (deviceId: string, sequence: number, records: readonly (TestRecord | string)[]) =>
      append(appender, deviceId, sequence, records),
    appender,
  };
}

export async function append(
  appender: StreamAppender,
  deviceId: string,
  sequence: number,
  records: readonly (TestRecord | string)[],
): Promise<Entry> {
  const entry = makeEntry(deviceId, sequence, records);
  await appender.append(entry);
  return entry;
}

/** A batch as a server would append it. */
export function makeEntry(
  deviceId: string,
  sequence: number,
  records: readonly (TestRecord | string)[],
  sessionId = "boot",
  attributes: LogBatch["attributes"] = [],
): Entry {
  const batch = toBinary(
    LogBatchSchema,
    create(LogBatchSchema, {
      deviceId,
      sessionId,
      sequence: BigInt(sequence),
      attributes,
      records: records.map((record) => (typeof record === "string" ? { message: record } : record)),
    }),
  );
  return {
    deviceId,
    sessionId,
    sequence: BigInt(sequence),
    receivedAtMicros: Date.now() * 1000,
    digest: createHash("sha256").update(batch).digest().subarray(0, 16),
    batch,
  };
}
