import type { StreamRedis } from "#stream/connection.ts";
import { compareIds } from "#stream/group-info.ts";
import { type StreamPositions, TailReader } from "#stream/tail-reader.ts";
import type { Shares } from "../fairness/shares.ts";
import { findMissed } from "./missed.ts";
import type { Tail, TailMessage } from "./tail.ts";
import type { TailHub } from "./tail-hub.ts";

/**
 * Brings a resumed tail to the start of the ring by reading the stream for it alone, at the pace of its client;
 * then the tail follows. The size of a read and the number of concurrent catch-ups are bounded.
 */
export class CatchUp {
  readonly #hub: TailHub;
  readonly #redis: StreamRedis;
  readonly #shares: Shares;

  constructor(hub: TailHub, redis: StreamRedis, shares: Shares) {
    this.#hub = hub;
    this.#redis = redis;
    this.#shares = shares;
  }

  /** Yields the records in between, and gaps. Throws RESOURCE_EXHAUSTED when the client has too many catch-ups. */
  async *run(tail: Tail, from: StreamPositions, client: string): AsyncGenerator<TailMessage> {
    if (this.#hub.followFrom(tail, from)) return;
    const giveBack = this.#shares.acquire(client);
    try {
      yield* this.#run(tail, from);
    } finally {
      giveBack();
    }
  }

  async *#run(tail: Tail, from: StreamPositions): AsyncGenerator<TailMessage> {
    const reader = new TailReader(this.#redis, readSize);
    tail.standAt(from);
    let sentAtMs = performance.now();
    while (!this.#hub.followFrom(tail, tail.positions)) {
      const before = tail.positions.slice();
      const entries = await reader.read(before, { waits: false });
      // Checked after the read: entries that existed then were read, or are known to be gone.
      const missed = await findMissed(this.#redis, before);
      if (missed !== undefined) {
        yield { gap: missed.gap };
        tail.standAt(farthest(before, this.#hub.coveredAfter));
        continue;
      }
      const logs = entries.flatMap((entry) => tail.accept(this.#hub.read(entry)));
      if (entries.length === 0) tail.standAt(farthest(before, this.#hub.coveredAfter));
      if (logs.length === 0 && performance.now() - sentAtMs < silenceMsMax) continue;
      yield { logs };
      sentAtMs = performance.now();
    }
  }
}

/** The later position in each shard. */
function farthest(a: StreamPositions, b: StreamPositions): StreamPositions {
  return a.map((id, shard) => (compareIds(id, b[shard] ?? id) < 0 ? (b[shard] ?? id) : id));
}

/** A client gets a heartbeat even while no record of a long part of the stream matches. */
const silenceMsMax = 5000;
const readSize = { countMax: 100, bytesMax: 256 * 1024 };
