import { Cluster, Redis, type RedisOptions } from "ioredis";
import { backoffMs } from "#lib/backoff.ts";

/** One Redis, or a Redis Cluster with the shards spread over its nodes. */
export type StreamRedis = Redis | Cluster;

/** A connection is closed when Redis leaves a command unanswered for longer. */
export const answerTimeoutMs = 2_000;

/** The longest a read waits for entries to arrive. */
export const blockMs = 2_000;

/**
 * A command is answered or fails soon. Nothing is queued while Redis is unreachable (`enableOfflineQueue`). Unanswered
 * commands fail at once when the connection breaks, and are never resent without the caller (`maxRetriesPerRequest`,
 * `autoResendUnfulfilledCommands`). A connection that leaves a command unanswered is destroyed (`socketTimeout`), so that
 * commands do not pile up in front of a Redis that hangs.
 */
const failFast = {
  enableOfflineQueue: false,
  // Not needed, and our Redis users have no permission for it.
  disableClientInfo: true,
  maxRetriesPerRequest: 0,
  autoResendUnfulfilledCommands: false,
  socketTimeout: answerTimeoutMs,
  connectTimeout: answerTimeoutMs,
  maxLoadingRetryTime: 1_000,
  retryStrategy: (attempt: number) => backoffMs(attempt, { baseMs: 50, capMs: 1_000 }),
} satisfies RedisOptions;

/** Options for the connection of a StreamAppender, and for all short commands (ack, trim, lag). */
export const commandConnection = failFast;

/** Options for the connection of a StreamReader, whose commands wait; use it for nothing else. */
export const readConnection = { ...failFast, socketTimeout: blockMs + answerTimeoutMs };

/** Options for the connection of a Subscription, which itself renews its subscriptions. */
export const subscriberConnection = { ...failFast, autoResubscribe: false };

/**
 * Creates a client, which connects at once. One URL is one Redis; several are nodes of a Redis Cluster, which reports the
 * others. All nodes use the user, password and TLS of the first URL.
 *
 * On a cluster a command for a shard whose master is gone is retried for up to 1.6 s, then fails as with one Redis. An
 * append may run twice that way; the ledger recognises the batch.
 */
export function openRedis(
  urls: readonly string[],
  { retryStrategy, enableOfflineQueue, ...nodes }: typeof failFast & { readonly autoResubscribe?: boolean },
): StreamRedis {
  const [first = "", ...others] = urls;
  if (others.length === 0) return new Redis(first, { ...nodes, retryStrategy, enableOfflineQueue });
  const { username, password, protocol } = new URL(first);
  return new Cluster(urls.map(toAddress), {
    enableOfflineQueue,
    clusterRetryStrategy: retryStrategy,
    clusterNodeRetryStrategy: retryStrategy,
    slotsRefreshInterval: 1_000,
    shardedSubscribers: nodes.autoResubscribe !== undefined,
    redisOptions: {
      ...nodes,
      ...(username && { username: decodeURIComponent(username) }),
      ...(password && { password: decodeURIComponent(password) }),
      ...(protocol === "rediss:" && { tls: {} }),
    },
  });
}

/** Resolves after the first attempt to connect, successful or not; ioredis keeps trying. */
export async function untilFirstTry(redis: StreamRedis): Promise<void> {
  if (redis.status === "ready") return;
  const { promise, resolve } = Promise.withResolvers<void>();
  for (const event of ["ready", "error", "close", "end"]) redis.once(event, resolve);
  await promise;
}

/** Why a command failed, for logs and operators. Without a connection, ioredis's errors only mention its options. */
export function redisProblem(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  return ownOptions.test(message) ? "Redis is unreachable" : `Redis: ${message}`;
}

const ownOptions = /enableOfflineQueue|maxRetriesPerRequest|^Connection is closed|^Socket timeout/;

/** The one Redis, or those nodes of the cluster that hold shards. */
export function listMasters(redis: StreamRedis): readonly Redis[] {
  return redis instanceof Cluster ? redis.nodes("master") : [redis];
}

function toAddress(url: string): { host: string; port: number } {
  const { hostname, port } = new URL(url);
  return { host: hostname.replace(/^\[|\]$/g, ""), port: Number(port || 6379) };
}
