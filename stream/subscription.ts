import type { Logger } from "#lib/logger.ts";
import type { StreamRedis } from "./connection.ts";

/** Detects a connection that died silently; ioredis then reconnects. */
const pingIntervalMs = 5_000;

/**
 * Keeps a connection of its own subscribed to sharded channels, through every reconnection. Messages sent while it is
 * disconnected are lost. `redis` needs the options `subscriberConnection`. Errors that `onMessage` throws are logged.
 */
export class Subscription {
  readonly #redis: StreamRedis;
  readonly #timer: NodeJS.Timeout;

  constructor(options: {
    readonly redis: StreamRedis;
    readonly channels: readonly string[];
    readonly logger: Logger;
    readonly onMessage: (message: string) => void;
    /** Called when all channels are subscribed, for the first time or again: earlier messages may be lost. */
    readonly onSubscribed?: () => void;
  }) {
    const { redis, channels, logger, onMessage, onSubscribed } = options;
    const warn = (error: unknown) => logger.warn({ err: error }, "a subscription to Redis failed");
    const subscribe = () => {
      // One command each: in a Redis Cluster the channels are in different slots.
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
