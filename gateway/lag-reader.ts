import { withDeadline } from "#lib/deadline.ts";
import type { StreamRedis } from "#stream/connection.ts";
import { readLag, type ShardLag } from "#stream/lag.ts";

/** How far the consumers are behind over all shards; undefined fields: not known, which is never the same as 0. */
export interface Lag {
  readonly undelivered: number | undefined;
  readonly pending: number;
  readonly oldestAgeMs: number | undefined;
}

/** Asks Redis; undefined when it gives no answer. */
export type LagReader = () => Promise<Lag | undefined>;

export function createLagReader(redis: StreamRedis, shards: readonly number[]): LagReader {
  return async () => {
    try {
      const lags = await withDeadline("the lag", answerWithinMs, readLag(redis, shards));
      return lags.map(toLag).reduce(add);
    } catch {
      // Redis is away or hangs: the answer says by an absent field that the lag is not known.
      return undefined;
    }
  };
}

function toLag({ undeliveredEntries, pendingEntries, oldestAgeMs }: ShardLag): Lag {
  return { undelivered: undeliveredEntries, pending: pendingEntries, oldestAgeMs };
}

function known(
  a: number | undefined,
  b: number | undefined,
  both: (a: number, b: number) => number,
): number | undefined {
  return a === undefined || b === undefined ? undefined : both(a, b);
}

function add(a: Lag, b: Lag): Lag {
  return {
    undelivered: known(a.undelivered, b.undelivered, (left, right) => left + right),
    pending: a.pending + b.pending,
    oldestAgeMs: known(a.oldestAgeMs, b.oldestAgeMs, Math.max),
  };
}

const answerWithinMs = 500;
