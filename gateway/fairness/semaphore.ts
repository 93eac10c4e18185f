import type { Counter } from "#lib/metrics.ts";
import type { Caller } from "./caller.ts";

/** Enough callers wait already: come back later. */
export class BusyError extends Error {
  override readonly name = "BusyError";
}

/** What seemed cheap is not: to be begun again among the expensive queries. */
export class ExpensiveQueryError extends Error {
  override readonly name = "ExpensiveQueryError";
}

export interface SemaphoreOptions {
  /** What passes, such as "expensive queries". */
  readonly name: string;
  readonly concurrencyMax: number;
  readonly waitingMax: number;
  readonly waitMsMax: number;
  readonly refused: Counter<"limit">;
}

/** Who waits: either its turn comes, or it is told that it does not. */
interface Waiter {
  readonly onTurn: () => void;
  readonly onRejected: () => void;
}

/**
 * Lets a few through at once. The others wait, a bounded number for a bounded time: each client's in the order in which
 * they came, and the clients by turns, so that the first call of one comes next however many another has waiting.
 * When all places to wait are taken, the client with the most of them gives one to a client with fewer.
 */
export class Semaphore {
  readonly #options: SemaphoreOptions;
  /** By client, whose turn is next first; nobody's queue is empty. */
  readonly #queues = new Map<string, Set<Waiter>>();
  #waiting = 0;
  #running = 0;

  constructor(options: SemaphoreOptions) {
    this.#options = options;
  }

  /**
   * Returns once there is room, and how to leave again. Throws {@link BusyError} when too many wait already or it took
   * too long, and the signal's reason when that aborts.
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

  /** Who leaves gives the place to the one whose turn it is, if there is one: it is never free in between. */
  #release(): void {
    const [next] = this.#queues;
    if (next === undefined) {
      this.#running -= 1;
      return;
    }
    const [client, queue] = next;
    const [first] = queue;
    // To the end of the round, with what else it has waiting.
    this.#queues.delete(client);
    this.#queues.set(client, queue);
    first?.onTurn();
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
    const turn = Promise.withResolvers<void>();
    // Whatever ends the waiting takes it out of the line at once: no place is given to somebody who has gone.
    const end = (how: () => void) => () => {
      this.#remove(client, waiting);
      clearTimeout(timer);
      signal.removeEventListener("abort", onAbort);
      how();
    };
    const waiting: Waiter = {
      onTurn: end(turn.resolve),
      onRejected: end(() => turn.reject(refusal(`this client has more ${name} waiting than others`))),
    };
    const onAbort = end(() => turn.reject(signal.reason as Error));
    const tooLong = `timed out after waiting ${waitMsMax} ms for other ${name}`;
    const timer = setTimeout(
      end(() => turn.reject(refusal(tooLong))),
      waitMsMax,
    );
    signal.addEventListener("abort", onAbort);
    this.#add(client, waiting);
    await turn.promise;
  }

  /** Refuses the last of the longest queue, unless that of the client would be as long. */
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
