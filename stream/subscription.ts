import type { Logger } from "#lib/logger.ts";
import type { StreamRedis } from "./connection.ts";

/** A connection that died without a word is noticed by this, and made again. */
const pingIntervalMs = 5_000;

/**
 * Keeps a connection of its own subscribed to sharded channels, through every reconnection. Messages that are sent
 * while it is unreachable are lost. `redis` has the options `subscriberConnection`. What `onMessage` throws is logged.
 */
export class Subscription {
  readonly #redis: StreamRedis;
  readonly #timer: NodeJS.Timeout;

  constructor(options: {
    readonly redis: StreamRedis;
    readonly channels: readonly string[];
    readonly logger: Logger;
    readonly onMessage: (message: string) => void;
    /** Subscribed to all channels, for the first time or again: what was sent before this is lost. */
    readonly onSubscribed?: () => void;
  }) {
    const { redis, channels, logger, onMessage, onSubscribed } = options;
    const warn = (error: unknown) => logger.warn({ err: error }, "a subscription to Redis failed");
    const subscribe = () => {
      // Each in a command of its own: in a Redis Cluster they lie in different slots.
      Promise.all(channels.map((channel) => redis.ssubscribe(channel))).then(
        () => onSubscribed?.(),
        (error: unknown) => {
          warn(error);
          redis.disconnect(true);
        },
      );
    };
    this.#redis = redis;
    redis.on("ready", subscribe);
    if (redis.status === "ready") subscribe();
    redis.on("smessage", (channel: string, message: string) => {
      try {
        onMessage(message);
      } catch (error) {
        logger.warn({ err: error, channel }, "received a malformed message");
      }
    });
    this.#timer = setInterval(() => {
      if (redis.status === "ready") redis.ping().catch(warn);
    }, pingIntervalMs);
  }

  close(): void {
    clearInterval(this.#timer);
    this.#redis.disconnect();
  }
}
