/** How far the consumers are behind over all shards; undefined fields: not known, which is never the same as 0. */
export interface Lag {
  readonly undelivered: number | undefined;
  readonly pending: number;
  readonly oldestAgeMs: number | undefined;
}

/** Asks Redis; undefined when it gives no answer. */
export type LagReader = () => Promise<Lag | undefined>;
