import type { Caller } from "../fairness/caller.ts";
import { BusyError } from "../fairness/semaphore.ts";

/**
 * Runs the same work once for all who want it at the same time. When the one who began it leaves, the work ends with
 * the connection it holds; whoever else still waits begins it again. So does another client when that of the first has
 * too much waiting already: that is the first one's own.
 */
export class SingleFlight<T> {
  readonly #flights = new Map<string, Flight<T>>();

  /** `isShared`: somebody else's work. Its signal ends only this caller's wait. */
  async run(name: string, caller: Caller, work: () => Promise<T>): Promise<{ result: T; isShared: boolean }> {
    const { client, signal } = caller;
    for (;;) {
      signal.throwIfAborted();
      const flight = this.#flights.get(name);
      if (flight === undefined) return { result: await this.#begin(name, caller, work), isShared: false };
      try {
        return { result: await orAborted(flight.result, signal), isShared: true };
      } catch (error) {
        const isOfTheOther =
          flight.caller.signal.aborted || (error instanceof BusyError && flight.caller.client !== client);
        if (signal.aborted || !isOfTheOther) throw error;
      }
    }
  }

  async #begin(name: string, caller: Caller, work: () => Promise<T>): Promise<T> {
    const result = work();
    this.#flights.set(name, { result, caller });
    try {
      return await result;
    } finally {
      this.#flights.delete(name);
    }
  }
}

interface Flight<T> {
  readonly result: Promise<T>;
  /** Who began it. */
  readonly caller: Caller;
}

async function orAborted<T>(result: Promise<T>, signal: AbortSignal): Promise<T> {
  const aborted = Promise.withResolvers<never>();
  const onAbort = () => aborted.reject(signal.reason as Error);
  signal.addEventListener("abort", onAbort);
  try {
    return await Promise.race([result, aborted.promise]);
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}
