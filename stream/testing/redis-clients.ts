import { createHash } from "node:crypto";
import type { TestContext } from "node:test";
import { Redis } from "ioredis";
import { startRedis } from "#test/support/redis.ts";
import { StreamAppender } from "../append.ts";
import { commandConnection } from "../connection.ts";
import type { Entry } from "../entry.ts";

export interface TestRedis {
  readonly url: string;
  readonly pid: number;
  /** A connected client with the options programs use; closed after the test. */
  client(): Promise<Redis>;
}

/** Starts a Redis for one test, and creates clients to it. */
export async function startTestRedis(
  t: TestContext,
  config: Record<string, string> = {},
): Promise<TestRedis> {
  const server = await startRedis(config);
  t.after(() => server[Symbol.asyncDispose]());
  return { url: server.url, pid: server.pid, client: () => connectTo(t, server.url) };
}

export async function connectTo(t: TestContext, url: string): Promise<Redis> {
  const redis = new Redis(url, { ...commandConnection, lazyConnect: true });
  redis.on("error", () => {}); // tests stop Redis on purpose; the results of commands matter
  t.after(() => redis.disconnect());
  await redis.connect();
  return redis;
}

export function createAppender(redis: Redis, shards = 1): StreamAppender {
  return new StreamAppender(redis, { shards, inFlightMax: 10_000, inFlightBytesMax: 64 << 20 });
}

/** The entry with this sequence; the same arguments give the same entry. */
export function makeEntry(sequence: number, deviceId = "device-1", batchBytes = 64): Entry {
  const batch = Buffer.alloc(batchBytes, sequence);
  return {
    deviceId,
    sessionId: "boot-1",
    sequence: BigInt(sequence),
    receivedAtMicros: 1_700_000_000_000_000 + sequence,
    digest: createHash("sha256").update(batch).digest().subarray(0, 16),
    batch,
  };
}
