import { setTimeout as sleep } from "node:timers/promises";

/**
 * Asks `condition` again and again until it gives something truthy, and returns that; past the deadline throws an
 * error that names `what` and the last thing seen. A condition that throws counts as not yet met.
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
