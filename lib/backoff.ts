/** How long to wait between attempts: doubling from `baseMs`, never over `capMs`. */
export interface Backoff {
  readonly baseMs: number;
  readonly capMs: number;
}

/**
 * Milliseconds to wait before attempt `attempt` (1 = the first retry), with full jitter between half and the
 * whole of the capped exponential, so that a fleet that failed together does not return together.
 */
export function backoffMs(attempt: number, { baseMs, capMs }: Backoff, random = Math.random): number {
  const ceiling = Math.min(capMs, baseMs * 2 ** Math.min(attempt - 1, 30));
  return Math.round(ceiling * (0.5 + random() / 2));
}
