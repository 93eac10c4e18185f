import { Kysely, type LogEvent, PostgresDialect } from "kysely";
import type { Pool, PoolClient } from "pg";
import type { Counter, Histogram } from "#lib/metrics.ts";
import type { Database } from "#postgres/tables.ts";
import type { Caller } from "../fairness/caller.ts";
import { ExpensiveQueryError, Semaphore } from "../fairness/semaphore.ts";

/** The query did not finish in the time a query may take. */
export class QueryTimeoutError extends Error {
  override readonly name = "QueryTimeoutError";
}

export interface ReadPoolOptions {
  readonly connectionsMax: number;
  /** How long one RPC may take in PostgreSQL, over all its statements. */
  readonly queryTimeoutMs: number;
  /** How many expensive ones run at once. */
  readonly heavyQueriesMax: number;
}

/** How an RPC reads. */
export interface ReadOptions {
  /** It may look at very many records: then it takes its turn with the others of its kind. */
  readonly isHeavy?: boolean;
  /** Is told of every statement. */
  readonly log?: ((event: LogEvent) => void) | undefined;
}

/**
 * What the sessions of the gateway's pool are set to. PostgreSQL looks every 200 ms whether the client of a running
 * statement is still there, and stops when it is gone: that is how {@link ReadPool.read} cancels, without a second
 * connection, and what ends the statements of a gateway that died.
 */
export const readSettings = {
  default_transaction_read_only: "on",
  client_connection_check_interval: "200ms",
  jit: "off",
  // One query takes one core at most and a bounded share of the memory, so that storing goes on beside the worst.
  max_parallel_workers_per_gather: "0",
  work_mem: "8MB",
};

/** May throw a {@link ExpensiveQueryError} while it has no turn among the expensive ones. */
type Work<T> = (db: Kysely<Database>, hasPermit: boolean) => Promise<T>;

/** Runs what an RPC reads on one connection of a pool. */
export class ReadPool {
  readonly #choosePool: () => Pool;
  readonly #options: ReadPoolOptions;
  readonly #seconds: Histogram<"query">;
  readonly #heavySemaphore: Semaphore;
  readonly #connectionSemaphore: Semaphore;
  #clockAheadMicros = 0n;

  /** `choosePool` says for each read where to read. */
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
      // Those inside leave by then: whose turn is next is never told that it took too long.
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

  /** Microseconds since 1970 by the clock of PostgreSQL, which all gateways share, as far as it was told. */
  nowMicros(): bigint {
    return BigInt(Date.now()) * 1000n + this.#clockAheadMicros;
  }

  /** What the clock of PostgreSQL says now. */
  setClock(nowMicros: bigint): void {
    this.#clockAheadMicros = nowMicros - BigInt(Date.now()) * 1000n;
  }

  /**
   * Gives `work` a connection until it returns. When `signal` aborts, or after the query timeout, the connection is
   * destroyed, PostgreSQL stops the statement, and this throws the signal's reason or {@link QueryTimeoutError}.
   * Throws a BusyError at once when too many wait already.
   *
   * However many ask for what is expensive, only a few at once do it: every one of them takes a core of the machine that
   * also stores what arrives, and what is cheap need not wait for them. Clients take turns, for a connection too. The time in the line does not count.
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
      return await this.#read(caller.signal, (client) => work(createKysely(client, log), isHeavy));
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
      // Whoever left while waiting has not used the connection: it is as good as before.
      if (ended.aborted) release(false);
      ended.throwIfAborted();
      ended.addEventListener("abort", onEnded);
      const result = await work(client);
      release(false);
      return result;
    } catch (error) {
      // Also after an error of PostgreSQL: the one that says that it ends the session comes before the end.
      release(!(error instanceof ExpensiveQueryError));
      if (signal.aborted) throw signal.reason;
      if (!deadline.aborted) throw error;
      throw new QueryTimeoutError(`not finished within ${this.#options.queryTimeoutMs} ms`);
    } finally {
      ended.removeEventListener("abort", onEnded);
    }
  }
}

/** Kysely over one connection that somebody else releases. */
function createKysely(client: PoolClient, log: ((event: LogEvent) => void) | undefined): Kysely<Database> {
  const lent = { query: client.query.bind(client), release() {} } as unknown as PoolClient;
  const pool = { connect: async () => lent, end: async () => {}, options: {} };
  return new Kysely<Database>({ dialect: new PostgresDialect({ pool }), ...(log && { log }) });
}

const waitingPerConnectionMax = 10;
/** They wait without a connection. */
const waitingPerHeavyMax = 20;
