import { setTimeout as sleep } from "node:timers/promises";

/**
 * Polls `condition` until it returns something truthy, and returns that; after the deadline throws an
 * error with `what` and the last value. A condition that throws counts as not met.
 */
export async function waitFor<T>(
  what: string,
  condition: () => Promise<T> | T,
  deadlineMs = 30_000,
): Promise<Exclude<T, false | 0 | "" | null | undefined>> {
  const giveUpAt = performance.now() + deadlineMs;
  for (let pauseMs = 2; ; pauseMs = Math.min(pauseMs * 2, 50)) {
    let seen: unknown;
    try {
      seen = await condition();
      if (seen) return seen as Exclude<T, false | 0 | "" | null | undefined>;
    } catch (error) {
      seen = error;
    }
    if (performance.now() > giveUpAt) {
      throw new Error(`waited ${deadlineMs} ms in vain for ${what}`, { cause: seen });
    }
    await sleep(pauseMs);
  }
}
