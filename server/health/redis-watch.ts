import type { Logger } from "#lib/logger.ts";
import { clockProblems } from "#stream/clock-skew.ts";
import { redisProblem, type StreamRedis } from "#stream/connection.ts";
import { epochNumbers, readPositions, type StreamPosition } from "#stream/epoch.ts";
import { unsafeSettings } from "#stream/safety.ts";

export interface RedisWatchOptions {
  readonly redis: StreamRedis;
  readonly shards: readonly number[];
  /** The largest accepted difference between this process's clock and Redis's. */
  readonly clockSkewMsMax: number;
  readonly logger: Logger;
  /** The highest id of a shard that was acknowledged to a device. */
  readonly lastId: (shard: number) => string;
  /** Called with the position of each stream, and awaited before batches are accepted. Must not reject. */
  readonly onPositions: (positions: readonly StreamPosition[]) => Promise<void>;
  /** Redis is available and durable, its clock agrees, and every shard has its group and epoch. */
  readonly onSafe: (epochs: ReadonlyMap<number, bigint>) => void;
  /** Called with the reason when any of that fails. */
  readonly onUnsafe: (reason: string) => void;
}

/** Settings are checked again while Redis stays connected: they can change at runtime. */
const checkIntervalMs = 5_000;

/** After a failed check: in a cluster, a lost master closes only its own connection. */
const recheckMs = 300;

/**
 * Decides whether batches may be acknowledged. Checks Redis whenever a connection becomes ready, since it may be another
 * Redis with other settings than before, and every few seconds after that.
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
    redis.on("close", () => this.#report("Redis is unreachable"));
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
      if (problems.length > 0) this.#report(problems.join("\n"));
      else {
        const positions = await readPositions(redis, shards, lastId);
        await onPositions(positions);
        this.#report("", epochNumbers(positions));
      }
    } catch (error) {
      this.#report(redisProblem(error));
      if (!this.#stopped) setTimeout(() => void this.#check(), recheckMs).unref();
    }
  }

  /** An empty problem means safe, with the epochs. */
  #report(problem: string, epochs: ReadonlyMap<number, bigint> = new Map()): void {
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
