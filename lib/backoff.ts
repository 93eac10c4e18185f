/** Waits between attempts: they double from `baseMs` up to `capMs`. */
export interface Backoff {
  readonly baseMs: number;
  readonly capMs: number;
}

/**
 * Milliseconds to wait before attempt `attempt` (1 = the first retry): between half and the whole of the capped
 * exponential, so that a fleet that failed together does not return together.
 */
export function backoffMs(attempt: number, { baseMs, capMs }: Backoff, random = Math.random): number {
  return Math.round(ceilingMs(attempt, { baseMs, capMs }) * (0.5 + random() / 2));
}

/**
 * The same with full jitter: between 0 and the capped exponential. For thousands of clients, such as devices that lost
 * the same server at the same moment: they return spread evenly over the whole time.
 */
export function fullJitterMs(attempt: number, backoff: Backoff, random = Math.random): number {
  return Math.round(ceilingMs(attempt, backoff) * random());
}

function ceilingMs(attempt: number, { baseMs, capMs }: Backoff): number {
  return Math.min(capMs, baseMs * 2 ** Math.min(attempt - 1, 30));
}
