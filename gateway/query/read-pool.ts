import type { LogEvent } from "kysely";
import type { Pool, PoolClient } from "pg";
import type { Counter, Histogram } from "#lib/metrics.ts";
import type { Caller } from "../fairness/caller.ts";
import { ExpensiveQueryError, Semaphore } from "../fairness/semaphore.ts";
import { ReadDatabase } from "./read-database.ts";

/** The query did not finish within the query timeout. */
export class QueryTimeoutError extends Error {
  override readonly name = "QueryTimeoutError";
}

export interface ReadPoolOptions {
  readonly connectionsMax: number;
  /** The longest that one RPC may run in PostgreSQL, over all its statements. */
  readonly queryTimeoutMs: number;
  /** See {@link ReadPool.patienceMs}. Default: half of the query timeout. */
  readonly patienceMs?: number;
  /** The number of expensive queries that run at once. */
  readonly heavyQueriesMax: number;
}

/** How an RPC reads. */
export interface ReadOptions {
  /** It may read very many records, so it waits for a permit among the expensive queries. */
  readonly isHeavy?: boolean;
  /** Receives every statement. */
  readonly log?: ((event: LogEvent) => void) | undefined;
}

/**
 * The settings of the pool's sessions. While a statement runs, PostgreSQL checks every 200 ms whether its
 * client is still connected, and stops it otherwise: that is how {@link ReadPool.read} cancels without a second
 * connection, and how the statements of a gateway that died end.
 */
export const readSettings = {
  default_transaction_read_only: "on",
  client_connection_check_interval: "200ms",
  jit: "off",
  // A query uses one core at most and a bounded share of the memory, so that the worst does not stop storing.
  max_parallel_workers_per_gather: "0",
  work_mem: "8MB",
};

/** May throw an {@link ExpensiveQueryError} while it has no permit for expensive queries. */
export type Work<T> = (db: ReadDatabase, hasPermit: boolean) => Promise<T>;

/** Runs the queries of an RPC on one connection of a pool. */
export class ReadPool {
  readonly #choosePool: () => Pool;
  readonly #options: ReadPoolOptions;
  readonly #seconds: Histogram<"query">;
  readonly #heavySemaphore: Semaphore;
  readonly #connectionSemaphore: Semaphore;
  #clockAheadMicros = 0n;

  /** `choosePool` returns the pool for each read. */
  constructor(
    choosePool: () => Pool,
    options: ReadPoolOptions,
    { seconds, refused }: { readonly seconds: Histogram<"query">; readonly refused: Counter<"limit"> },
  ) {
    this.#choosePool = choosePool;
    this.#options = options;
    this.#seconds = seconds;
    const { heavyQueriesMax, connectionsMax, queryTimeoutMs } = options;
    this.#heavySemaphore = new Semaphore({
      name: "expensive queries",
      concurrencyMax: heavyQueriesMax,
      waitingMax: heavyQueriesMax * waitingPerHeavyMax,
      // The queries before it end by then: the next in the queue is not refused for a timeout.
      waitMsMax: 2 * queryTimeoutMs,
      refused,
    });
    this.#connectionSemaphore = new Semaphore({
      name: "queries",
      concurrencyMax: connectionsMax,
      waitingMax: connectionsMax * waitingPerConnectionMax,
      waitMsMax: 2 * queryTimeoutMs,
      refused,
    });
  }

  /** Microseconds since 1970 by PostgreSQL's clock, which all gateways share, as last set by `setClock`. */
  nowMicros(): bigint {
    return BigInt(Date.now()) * 1000n + this.#clockAheadMicros;
  }

  /** After this time an RPC that can answer with a part should, well within the query timeout. */
  get patienceMs(): number {
    return this.#options.patienceMs ?? this.#options.queryTimeoutMs / 2;
  }

  /** Sets the time of PostgreSQL's clock. */
  setClock(nowMicros: bigint): void {
    this.#clockAheadMicros = nowMicros - BigInt(Date.now()) * 1000n;
  }

  /**
   * Lends `work` a connection until it returns. When `signal` aborts, or after the query timeout, the
   * connection is destroyed, PostgreSQL stops the statement, and this throws the signal's reason or {@link
   * QueryTimeoutError}. Throws a BusyError at once when too many wait already.
   *
   * Only a few expensive queries run at once: each uses a core of the machine that also stores records, and
   * cheap ones need not wait for them. Permits and connections go to the clients in turn. Waiting does not
   * count towards the query timeout.
   */
  async read<T>(
    name: string,
    caller: Caller,
    work: Work<T>,
    { isHeavy = false, log }: ReadOptions = {},
  ): Promise<T> {
    const stopTimer = this.#seconds.startTimer({ query: name });
    try {
      return await this.#readWithPermits(caller, isHeavy, work, log);
    } catch (error) {
      if (isHeavy || !(error instanceof ExpensiveQueryError)) throw error;
      return await this.#readWithPermits(caller, true, work, log);
    } finally {
      stopTimer();
    }
  }

  async #readWithPermits<T>(
    caller: Caller,
    isHeavy: boolean,
    work: Work<T>,
    log: ReadOptions["log"],
  ): Promise<T> {
    const leaves: (() => void)[] = [];
    try {
      if (isHeavy) leaves.push(await this.#heavySemaphore.acquire(caller));
      leaves.push(await this.#connectionSemaphore.acquire(caller));
      return await this.#read(caller.signal, (client) => work(new ReadDatabase(client, { log }), isHeavy));
    } finally {
      for (const leave of leaves) leave();
    }
  }

  async #read<T>(signal: AbortSignal, work: (client: PoolClient) => Promise<T>): Promise<T> {
    const pool = this.#choosePool();
    const deadline = AbortSignal.timeout(this.#options.queryTimeoutMs);
    const ended = AbortSignal.any([signal, deadline]);
    const client = await pool.connect();
    let isReleased = false;
    const release = (destroy: boolean) => {
      if (!isReleased) client.release(destroy);
      isReleased = true;
    };
    const onEnded = () => release(true);
    try {
      // A caller that left while waiting has not used the connection, which stays usable.
      if (ended.aborted) release(false);
      ended.throwIfAborted();
      ended.addEventListener("abort", onEnded);
      const result = await work(client);
      release(false);
      return result;
    } catch (error) {
      // Also after an error of PostgreSQL: the one that announces the end of the session arrives before the
      // end.
      release(!(error instanceof ExpensiveQueryError));
      if (signal.aborted) throw signal.reason;
      if (!deadline.aborted) throw error;
      throw new QueryTimeoutError(`not finished within ${this.#options.queryTimeoutMs} ms`);
    } finally {
      ended.removeEventListener("abort", onEnded);
    }
  }
}

const waitingPerConnectionMax = 10;
/** They wait without a connection. */
const waitingPerHeavyMax = 20;
