import { type Finding, fail, ok, warn } from "./finding.ts";

/** Returns a machine's time, in ms since 1970. */
export type Clock = () => Promise<number>;

/**
 * Compares another machine's clock with ours. Half the round trip is subtracted, and the remaining
 * uncertainty is tolerated.
 */
export async function checkClock(name: string, clock: Clock): Promise<Finding> {
  const askedAt = Date.now();
  const theirs = await clock();
  const answeredAt = Date.now();
  const unsureMs = (answeredAt - askedAt) / 2;
  const apartMs = Math.max(0, Math.abs(theirs - (askedAt + unsureMs)) - unsureMs);
  const check = `clock.${name}`;
  const found = `${(apartMs / 1_000).toFixed(1)} s off this machine's clock`;
  const fix =
    "Synchronise both machines with NTP: received_at, the order of batches and the day of a partition come from these clocks.";
  if (apartMs > 60_000) return fail(check, found, fix);
  return apartMs > 1_000 ? warn(check, found, fix) : ok(check, found);
}
