import type { Logger } from "#lib/logger.ts";
import { clockProblems } from "#stream/clock-skew.ts";
import { redisProblem, type StreamRedis } from "#stream/connection.ts";
import { epochNumbers, readPositions, type StreamPosition } from "#stream/epoch.ts";
import { unsafeSettings } from "#stream/safety.ts";

export interface RedisWatchOptions {
  readonly redis: StreamRedis;
  readonly shards: readonly number[];
  /** How far this process's clock may be from Redis'. */
  readonly clockSkewMsMax: number;
  readonly logger: Logger;
  /** The highest id of a shard that was acknowledged to a device. */
  readonly lastId: (shard: number) => string;
  /** How far the streams are; waited for before batches are accepted. Must not reject. */
  readonly onPositions: (positions: readonly StreamPosition[]) => Promise<void>;
  /** Redis is there, keeps what it acknowledges, has about our time, and every shard has its group and epoch. */
  readonly onSafe: (epochs: ReadonlyMap<number, bigint>) => void;
  /** It is not, and why. */
  readonly onUnsafe: (reason: string) => void;
}

/** How often a Redis that stays connected is asked for its settings: they can be changed while it runs. */
const checkIntervalMs = 5_000;

/** And when it did not answer: in a cluster, a master that is gone closes no connection but its own. */
const recheckMs = 300;

/**
 * Tells whether batches may be acknowledged. Redis is asked whenever a connection to it is ready, since it may
 * be another one, with other settings, than before, and every few seconds after that.
 */
export class RedisWatch {
  readonly #options: RedisWatchOptions;
  readonly #timer: NodeJS.Timeout;
  readonly #firstSafe = Promise.withResolvers<void>();
  #state: string | undefined;
  #stopped = false;

  constructor(options: RedisWatchOptions) {
    this.#options = options;
    const { redis } = options;
    redis.on("ready", () => void this.#check());
    redis.on("close", () => this.#say("Redis is unreachable"));
    redis.on("error", (error: Error) => options.logger.debug({ err: error }, "Redis connection"));
    this.#timer = setInterval(() => void this.#check(), checkIntervalMs);
    if (redis.status === "ready") void this.#check();
  }

  /** Resolves when Redis was found safe for the first time. */
  get firstSafe(): Promise<void> {
    return this.#firstSafe.promise;
  }

  stop(): void {
    this.#stopped = true;
    clearInterval(this.#timer);
  }

  async #check(): Promise<void> {
    const { redis, shards, clockSkewMsMax, lastId, onPositions } = this.#options;
    if (redis.status !== "ready") return;
    try {
      const problems = [...(await unsafeSettings(redis)), ...(await clockProblems(redis, clockSkewMsMax))];
      if (problems.length > 0) this.#say(problems.join("\n"));
      else {
        const positions = await readPositions(redis, shards, lastId);
        await onPositions(positions);
        this.#say("", epochNumbers(positions));
      }
    } catch (error) {
      this.#say(redisProblem(error));
      if (!this.#stopped) setTimeout(() => void this.#check(), recheckMs).unref();
    }
  }

  /** An empty problem comes with the epochs. */
  #say(problem: string, epochs: ReadonlyMap<number, bigint> = new Map()): void {
    if (this.#stopped) return;
    const { logger, onSafe, onUnsafe } = this.#options;
    if (problem === "") {
      onSafe(epochs);
      this.#firstSafe.resolve();
    } else onUnsafe(problem);
    if (problem === this.#state) return;
    this.#state = problem;
    if (problem === "") logger.info("Redis is ready, accepting batches");
    else logger.warn({ problem }, "refusing batches");
  }
}
