import type { Logger } from "#lib/logger.ts";
import { Gauge, type Registry } from "#lib/metrics.ts";
import { readBacklog } from "#stream/backlog.ts";
import type { StreamRedis } from "#stream/connection.ts";
import { readMemory } from "#stream/memory.ts";
import { Watermark } from "./watermark.ts";

export interface PressureOptions {
  readonly redis: StreamRedis;
  readonly shards: readonly number[];
  /** Share of Redis's `maxmemory`, in percent; a Redis without a limit never presses by its memory. */
  readonly memoryPercentMax: number;
  /** Entries that are not stored yet, in all shards. */
  readonly backlogEntriesMax: number;
  readonly registry: Registry;
  readonly logger: Logger;
  /** Too much is waiting, and what; undefined: no longer. */
  readonly onChange: (reason: string | undefined) => void;
}

/** Devices fill a gigabyte in half a minute at most, so a second is soon enough. */
const lookIntervalMs = 1_000;

/**
 * Tells when devices send faster than consumers store: Redis's memory or the backlog has passed its high mark and has
 * not yet fallen to the low one. Servers then refuse, with the wish to come back later, while consumers go on storing.
 * Before Redis itself is full there is always room left for their acknowledgements and for the cache.
 */
export class Pressure {
  readonly #options: PressureOptions;
  readonly #memory: Watermark;
  readonly #backlog: Watermark;
  readonly #gauge: Gauge<"reason">;
  readonly #timer: NodeJS.Timeout;
  #reason: string | undefined;
  #looking = false;

  constructor(options: PressureOptions) {
    this.#options = options;
    this.#memory = new Watermark(options.memoryPercentMax, options.memoryPercentMax - 10);
    this.#backlog = new Watermark(options.backlogEntriesMax, options.backlogEntriesMax * 0.9);
    this.#gauge = new Gauge({
      name: "fleetlog_backpressure",
      help: "1 while batches are refused because of Redis memory or the backlog, by reason",
      labelNames: ["reason"],
      registers: [options.registry],
    });
    this.#tell();
    this.#timer = setInterval(() => void this.#look(), lookIntervalMs);
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  async #look(): Promise<void> {
    const { redis, shards, logger } = this.#options;
    if (redis.status !== "ready" || this.#looking) return;
    this.#looking = true;
    try {
      const [memory, backlog] = await Promise.all([readMemory(redis), readBacklog(redis, shards)]);
      const percent = memory.bytesMax === 0 ? 0 : (100 * memory.usedBytes) / memory.bytesMax;
      this.#memory.update({ atLeast: percent, atMost: percent });
      this.#backlog.update(backlog);
      this.#tell(percent, backlog.atLeast);
    } catch (error) {
      logger.debug({ err: error }, "could not read the backlog from Redis"); // RedisWatch says so aloud
    } finally {
      this.#looking = false;
    }
  }

  #tell(percent = 0, backlog = 0): void {
    const { logger, onChange } = this.#options;
    this.#gauge.set({ reason: "memory" }, Number(this.#memory.isAbove));
    this.#gauge.set({ reason: "backlog" }, Number(this.#backlog.isAbove));
    const reasons = [
      this.#memory.isAbove && `Redis uses ${Math.round(percent)} % of its memory`,
      this.#backlog.isAbove && `${backlog} batches wait to be stored`,
    ].filter((reason) => reason !== false);
    const reason = reasons.length > 0 ? `${reasons.join(" and ")}: retry later` : undefined;
    if ((reason === undefined) !== (this.#reason === undefined)) {
      if (reason === undefined) logger.info("backpressure ended, accepting batches");
      else logger.warn({ reason }, "backpressure, refusing batches");
    }
    if (reason !== this.#reason) onChange(reason);
    this.#reason = reason;
  }
}
