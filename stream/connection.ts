import type { RedisOptions } from "ioredis";
import { backoffMs } from "#lib/backoff.ts";

/** How long Redis may leave a command unanswered before its connection is given up. */
export const answerTimeoutMs = 2_000;

/** The longest a read waits for entries to arrive. */
export const blockMs = 2_000;

/**
 * A command either is answered or fails, soon: nothing is queued while Redis is away (`enableOfflineQueue`), what was
 * unanswered when the connection broke fails at once and is never sent again behind the caller's back
 * (`maxRetriesPerRequest`, `autoResendUnfulfilledCommands`), and a connection that owes an answer and stays silent is
 * destroyed (`socketTimeout`), so that nothing piles up in front of a Redis that hangs.
 */
const failFast = {
  enableOfflineQueue: false,
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
