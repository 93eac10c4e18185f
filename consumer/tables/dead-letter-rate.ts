import { LRUCache } from "lru-cache";

/** Letters of one device that a consumer keeps at once, and from then on in a minute. */
export const deadLetterRateLimits = { burst: 1_000, perMinute: 60 } as const;

const devicesRememberedMax = 10_000;

/** A token bucket for each device: how many more dead letters of it are kept one by one. */
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

  /** Letters that are committed. Two flushes at once may each have found the same ones left. */
  spend(deviceId: string, count: number): void {
    this.#buckets.set(deviceId, { left: Math.max(0, this.left(deviceId) - count), atMs: this.#nowMs() });
  }
}
