import { setTimeout as sleep } from "node:timers/promises";
import { type Backoff, backoffMs } from "#lib/backoff.ts";
import type { Logger } from "#lib/logger.ts";

export interface Schedule {
  readonly logger: Logger;
  /** Stops the repetition when aborted. */
  readonly signal: AbortSignal;
}

const backoff: Backoff = { baseMs: 200, capMs: 10_000 };

/** Runs `task` every `intervalMs` until the signal, sooner after a failure. `name` completes "could not …" in the log. */
export function repeat(
  { signal, logger }: Schedule,
  name: string,
  intervalMs: number,
  task: () => Promise<void>,
): void {
  const loop = async () => {
    for (let failures = 0; !signal.aborted; ) {
      try {
        await task();
        failures = 0;
      } catch (error) {
        failures += 1;
        logger.warn({ err: error, failures }, `could not ${name}, retrying`);
      }
      const waitMs = failures === 0 ? intervalMs : Math.min(intervalMs, backoffMs(failures, backoff));
      // An abort ends the wait by throwing; the loop's condition handles it.
      await sleep(waitMs, undefined, { signal, ref: false }).catch(() => undefined);
    }
  };
  void loop();
}
