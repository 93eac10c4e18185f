import { setTimeout as sleep } from "node:timers/promises";
import { type Backoff, backoffMs } from "./backoff.ts";

export interface RetryOptions {
  readonly backoff: Backoff;
  /** Called after each failed attempt, before the wait: log and count here. `failures` starts at 1. */
  readonly onFailure: (error: unknown, failures: number, waitMs: number) => void;
  /** Errors that a retry cannot fix: thrown at once. */
  readonly isFinal?: (error: unknown) => boolean;
  /** Errors that the same attempt would repeat: thrown after the wait. */
  readonly isFinalAfterWait?: (error: unknown) => boolean;
  /** Ends the retries, including a wait in progress, with the signal's reason. */
  readonly signal?: AbortSignal;
}

/**
 * Runs `attempt` until it succeeds, without a limit on the number of attempts: for dependencies that come back.
 * Own code, because p-retry loses its jitter at the largest wait, where a whole fleet of programs would meet.
 */
export async function retry<T>(attempt: () => Promise<T>, options: RetryOptions): Promise<T> {
  const { backoff, onFailure, isFinal, isFinalAfterWait, signal } = options;
  for (let failures = 1; ; failures++) {
    signal?.throwIfAborted();
    try {
      return await attempt();
    } catch (error) {
      if (isFinal?.(error)) throw error;
      const waitMs = backoffMs(failures, backoff);
      onFailure(error, failures, waitMs);
      await sleep(waitMs, undefined, signal && { signal });
      if (isFinalAfterWait?.(error)) throw error;
    }
  }
}
