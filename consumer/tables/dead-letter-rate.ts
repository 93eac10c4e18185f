import { LRUCache } from "lru-cache";

/** Dead letters of one device that a consumer keeps in a burst, and per minute after that. */
export const deadLetterRateLimits = { burst: 1_000, perMinute: 60 } as const;

const devicesRememberedMax = 10_000;

/** A token bucket per device: how many more of its dead letters are kept one by one. */
export class DeadLetterRate {
  readonly #buckets = new LRUCache<string, { left: number; atMs: number }>({ max: devicesRememberedMax });
  readonly #nowMs: () => number;

  constructor(nowMs: () => number = () => performance.now()) {
    this.#nowMs = nowMs;
  }

  left(deviceId: string): number {
    const bucket = this.#buckets.get(deviceId);
    if (bucket === undefined) return deadLetterRateLimits.burst;
    const refilled = ((this.#nowMs() - bucket.atMs) / 60_000) * deadLetterRateLimits.perMinute;
    return Math.min(deadLetterRateLimits.burst, Math.floor(bucket.left + refilled));
  }

  /** Call after the dead letters are committed. Two concurrent flushes may both have used the same tokens. */
  spend(deviceId: string, count: number): void {
    this.#buckets.set(deviceId, { left: Math.max(0, this.left(deviceId) - count), atMs: this.#nowMs() });
  }
}
