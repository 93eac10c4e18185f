import { withDeadline } from "#lib/deadline.ts";
import type { StreamRedis } from "#stream/connection.ts";
import { readLag } from "#stream/lag.ts";

/** How far the consumers are behind over all shards. */
interface Lag {
  /** An upper bound; exact unless Redis has restarted on a long backlog. */
  readonly undelivered: number;
  readonly pending: number;
  readonly oldestAgeMs: number;
}

/** Reads the lag from Redis; undefined when it does not answer, which is never the same as 0. */
export type LagReader = () => Promise<Lag | undefined>;

export function createLagReader(redis: StreamRedis, shards: readonly number[]): LagReader {
  return async () => {
    try {
      const lags = await withDeadline("the lag", timeoutMs, readLag(redis, shards));
      return {
        undelivered: lags.reduce((sum, { undelivered }) => sum + undelivered.atMost, 0),
        pending: lags.reduce((sum, { pendingEntries }) => sum + pendingEntries, 0),
        oldestAgeMs: Math.max(...lags.map(({ oldestAgeMs }) => oldestAgeMs)),
      };
    } catch {
      // Redis is unreachable or hangs: the absent field of the response means that the lag is unknown.
      return undefined;
    }
  };
}

const timeoutMs = 500;
