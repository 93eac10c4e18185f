import type { Counter } from "#lib/metrics.ts";
import type { Caller } from "./caller.ts";

/** Too many callers are waiting already: retry later. */
export class BusyError extends Error {
  override readonly name = "BusyError";
}

/** A query turned out to be expensive: run it again with a permit for expensive ones. */
export class ExpensiveQueryError extends Error {
  override readonly name = "ExpensiveQueryError";
}

export interface SemaphoreOptions {
  /** What is limited, such as "expensive queries". */
  readonly name: string;
  readonly concurrencyMax: number;
  readonly waitingMax: number;
  readonly waitMsMax: number;
  readonly refused: Counter<"limit">;
}

/** A waiting caller: it is either admitted or refused. */
interface Waiter {
  readonly onAcquired: () => void;
  readonly onRejected: () => void;
}

/**
 * Runs a few calls at once. A bounded number of others waits for a bounded time: the calls of each client in
 * order, and the clients in turn, so that one client's first call comes next however many calls another has
 * waiting. When the queue is full, the client with the most waiting calls loses its last one to a client with
 * fewer. Not p-queue: it orders by priority and knows neither turns by client nor eviction.
 */
export class Semaphore {
  readonly #options: SemaphoreOptions;
  /** By client, the next one first; no queue is empty. */
  readonly #queues = new Map<string, Set<Waiter>>();
  #waiting = 0;
  #running = 0;

  constructor(options: SemaphoreOptions) {
    this.#options = options;
  }

  /**
   * Resolves to a function that releases the permit. Throws {@link BusyError} when too many callers wait or the
   * wait timed out, and the signal's reason when it aborts.
   */
  async acquire(caller: Caller): Promise<() => void> {
    caller.signal.throwIfAborted();
    if (this.#running >= this.#options.concurrencyMax) await this.#wait(caller);
    else this.#running += 1;
    let isInside = true;
    return () => {
      if (isInside) this.#release();
      isInside = false;
    };
  }

  /** Passes the permit to the next waiting caller, if there is one: it is never free in between. */
  #release(): void {
    const [next] = this.#queues;
    if (next === undefined) {
      this.#running -= 1;
      return;
    }
    const [client, queue] = next;
    const [first] = queue;
    // To the end of the round, with the client's other waiting calls.
    this.#queues.delete(client);
    this.#queues.set(client, queue);
    first?.onAcquired();
  }

  async #wait({ client, signal }: Caller): Promise<void> {
    const { name, waitingMax, waitMsMax, refused } = this.#options;
    const refusal = (why: string) => {
      refused.inc({ limit: name });
      return new BusyError(why);
    };
    if (this.#waiting >= waitingMax && !this.#evictLongest(client)) {
      throw refusal(`${this.#waiting} ${name} are already waiting`);
    }
    const acquired = Promise.withResolvers<void>();
    // Every end of the wait removes the caller from the queue at once: no permit goes to one that has left.
    const end = (how: () => void) => () => {
      this.#remove(client, waiting);
      clearTimeout(timer);
      signal.removeEventListener("abort", onAbort);
      how();
    };
    const waiting: Waiter = {
      onAcquired: end(acquired.resolve),
      onRejected: end(() => acquired.reject(refusal(`this client has more ${name} waiting than others`))),
    };
    const onAbort = end(() => acquired.reject(signal.reason as Error));
    const tooLong = `timed out after waiting ${waitMsMax} ms for other ${name}`;
    const timer = setTimeout(
      end(() => acquired.reject(refusal(tooLong))),
      waitMsMax,
    );
    signal.addEventListener("abort", onAbort);
    this.#add(client, waiting);
    await acquired.promise;
  }

  /** Refuses the last call of the longest queue, unless the client's own would be as long. */
  #evictLongest(client: string): boolean {
    const own = this.#queues.get(client)?.size ?? 0;
    const longest = [...this.#queues.values()].reduce((a, b) => (b.size > a.size ? b : a), new Set<Waiter>());
    if (longest.size <= own + 1) return false;
    [...longest].at(-1)?.onRejected();
    return true;
  }

  #add(client: string, waiting: Waiter): void {
    const queue = this.#queues.get(client) ?? new Set();
    queue.add(waiting);
    this.#queues.set(client, queue);
    this.#waiting += 1;
  }

  #remove(client: string, waiting: Waiter): void {
    const queue = this.#queues.get(client);
    if (queue?.delete(waiting) === true) this.#waiting -= 1;
    if (queue?.size === 0) this.#queues.delete(client);
  }
}
