import type { Caller } from "../fairness/caller.ts";
import { BusyError } from "../fairness/semaphore.ts";

/**
 * Runs the same work once for all callers that want it at the same time. When the caller that started it
 * leaves, the work ends with its connection, and a caller that still waits starts it again. A caller of another
 * client also starts it again when the first client is over its share of waiting calls, for that limit is the
 * first client's own.
 */
export class SingleFlight<T> {
  readonly #flights = new Map<string, Flight<T>>();

  /** `isShared`: another caller started the work. The signal ends only this caller's wait. */
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
  /** The caller that started it. */
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
