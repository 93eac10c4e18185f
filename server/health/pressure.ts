import type { Logger } from "#lib/logger.ts";
import { Gauge, type Registry } from "#lib/metrics.ts";
import { readBacklog } from "#stream/backlog.ts";
import type { StreamRedis } from "#stream/connection.ts";
import { readMemory } from "#stream/memory.ts";
import { Watermark } from "./watermark.ts";

export interface PressureOptions {
  readonly redis: StreamRedis;
  readonly shards: readonly number[];
  /** Share of Redis's `maxmemory`, in percent; ignored for a Redis without a limit. */
  readonly memoryPercentMax: number;
  /** Entries that are not stored yet, in all shards. */
  readonly backlogEntriesMax: number;
  readonly registry: Registry;
  readonly logger: Logger;
  /** Called with what exceeds its limit, and with undefined when nothing does any more. */
  readonly onChange: (reason: string | undefined) => void;
}

/** Devices need at least half a minute to fill a gigabyte: polling once a second is enough. */
const pollIntervalMs = 1_000;

/**
 * Detects that devices send faster than consumers store: Redis's memory or the backlog exceeded its high watermark and
 * has not fallen below the low one. Servers then refuse batches with RESOURCE_EXHAUSTED while consumers go on storing.
 * Redis keeps enough free memory for the consumers' acknowledgements and for the cache.
 */
export class Pressure {
  readonly #options: PressureOptions;
  readonly #memory: Watermark;
  readonly #backlog: Watermark;
  readonly #gauge: Gauge<"reason">;
  readonly #timer: NodeJS.Timeout;
  #reason: string | undefined;
  #polling = false;

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
    this.#publish();
    this.#timer = setInterval(() => void this.#poll(), pollIntervalMs);
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  async #poll(): Promise<void> {
    const { redis, shards, logger } = this.#options;
    if (redis.status !== "ready" || this.#polling) return;
    this.#polling = true;
    try {
      const [memory, backlog] = await Promise.all([readMemory(redis), readBacklog(redis, shards)]);
      const percent = memory.bytesMax === 0 ? 0 : (100 * memory.usedBytes) / memory.bytesMax;
      this.#memory.update({ atLeast: percent, atMost: percent });
      this.#backlog.update(backlog);
      this.#publish(percent, backlog.atLeast);
    } catch (error) {
      logger.debug({ err: error }, "could not read the backlog from Redis"); // RedisWatch reports it
    } finally {
      this.#polling = false;
    }
  }

  #publish(percent = 0, backlog = 0): void {
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
