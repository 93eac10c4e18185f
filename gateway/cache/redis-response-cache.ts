import type { Redis } from "ioredis";
import { withDeadline } from "#lib/deadline.ts";
import type { Logger } from "#lib/logger.ts";

/** A response and its expiry, by the clock of the gateway that stored it. */
export interface StoredResponse {
  readonly bytes: Uint8Array;
  readonly untilMs: number;
}

/**
 * Responses in Redis, each for a limited time. Redis only saves queries of PostgreSQL: when it is unreachable,
 * slow or full, every read is a miss, nothing is stored, and the gateway does not ask it again for a while.
 *
 * Every key has a time to live: Redis may evict only those keys, never the streams.
 */
export class RedisResponseCache {
  readonly #redis: Pick<Redis, "getBuffer" | "set">;
  readonly #logger: Logger;
  #restUntilMs = 0;

  /** `redis` fails fast: it has the options `commandConnection`. */
  constructor(redis: Pick<Redis, "getBuffer" | "set">, logger: Logger) {
    this.#redis = redis;
    this.#logger = logger;
  }

  async get(name: string): Promise<StoredResponse | undefined> {
    const value = await this.#send(() => this.#redis.getBuffer(cacheKey(name)));
    if (!value || value.byteLength < responseOffset) return undefined;
    return { bytes: value.subarray(responseOffset), untilMs: value.readDoubleBE(0) };
  }

  /** Does not wait for Redis. */
  set(name: string, answer: Uint8Array, lifetimeMs: number): void {
    if (answer.byteLength > responseBytesMax) return;
    const until = Buffer.alloc(responseOffset);
    until.writeDoubleBE(Date.now() + lifetimeMs);
    void this.#send(() => this.#redis.set(cacheKey(name), Buffer.concat([until, answer]), "PX", lifetimeMs));
  }

  async #send<T>(command: () => Promise<T>): Promise<T | undefined> {
    if (performance.now() < this.#restUntilMs) return undefined;
    try {
      return await withDeadline("the cache", timeoutMs, command());
    } catch (error) {
      this.#restUntilMs = performance.now() + restMs;
      this.#logger.debug({ err: error }, "cache unavailable, bypassing it for a while");
      return undefined;
    }
  }
}

function cacheKey(name: string): string {
  return `fleetlog-cache:${name}`;
}

/** A double before the response holds its expiry. */
const responseOffset = 8;
/** The longest that a read waits for a Redis that hangs. */
const timeoutMs = 100;
const restMs = 1000;
const responseBytesMax = 1024 * 1024;
