import { Cluster, Redis, type RedisOptions } from "ioredis";
import { backoffMs } from "#lib/backoff.ts";

/** One Redis, or a Redis Cluster whose nodes share the shards among them. */
export type StreamRedis = Redis | Cluster;

/** How long Redis may leave a command unanswered before its connection is given up. */
export const answerTimeoutMs = 2_000;

/** The longest a read waits for entries to arrive. */
export const blockMs = 2_000;

/**
 * A command either is answered or fails, soon: nothing is queued while Redis is unreachable (`enableOfflineQueue`), what was
 * unanswered when the connection broke fails at once and is never sent again behind the caller's back
 * (`maxRetriesPerRequest`, `autoResendUnfulfilledCommands`), and a connection that owes an answer and stays silent is
 * destroyed (`socketTimeout`), so that nothing piles up in front of a Redis that hangs.
 */
const failFast = {
  enableOfflineQueue: false,
  // Not needed, and no user of ours may say it.
  disableClientInfo: true,
  maxRetriesPerRequest: 0,
  autoResendUnfulfilledCommands: false,
  socketTimeout: answerTimeoutMs,
  connectTimeout: answerTimeoutMs,
  maxLoadingRetryTime: 1_000,
  retryStrategy: (attempt: number) => backoffMs(attempt, { baseMs: 50, capMs: 1_000 }),
} satisfies RedisOptions;

/** Options for the connection of a StreamAppender, and for every one that asks short questions (ack, trim, lag). */
export const commandConnection = failFast;

/** Options for the connection of a StreamReader, which waits on purpose and is used for nothing else. */
export const readConnection = { ...failFast, socketTimeout: blockMs + answerTimeoutMs };

/** Options for the connection of a Subscription, which subscribes again by itself. */
export const subscriberConnection = { ...failFast, autoResubscribe: false };

/**
 * A client that begins to connect at once. One URL is one Redis; several are nodes of a Redis Cluster, which tells the
 * others, and whose user, password and TLS are those of the first.
 *
 * On a cluster a command for a shard whose master is gone is tried again for up to 1.6 s, then fails as with one Redis.
 * An append may be tried twice by that; the ledger of batches recognises it.
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

/** Resolves when it is connected or has failed to for the first time, which is logged and tried again elsewhere. */
export async function untilFirstTry(redis: StreamRedis): Promise<void> {
  if (redis.status === "ready") return;
  const { promise, resolve } = Promise.withResolvers<void>();
  for (const event of ["ready", "error", "close", "end"]) redis.once(event, resolve);
  await promise;
}

/** Why a command failed, for people. What ioredis says without a connection is about its own options. */
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
