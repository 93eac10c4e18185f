/**
 * Runs the same work once for all who want it at the same time. When the one who began it leaves, the work ends with
 * the connection it holds; whoever else still waits begins it again.
 */
export class SingleFlight<T> {
  readonly #flights = new Map<string, Flight<T>>();

  /** `isShared`: somebody else's work. `signal` ends only this caller's wait. */
  async run(
    name: string,
    signal: AbortSignal,
    work: () => Promise<T>,
  ): Promise<{ result: T; isShared: boolean }> {
    for (;;) {
      signal.throwIfAborted();
      const flight = this.#flights.get(name);
      if (flight === undefined) return { result: await this.#begin(name, signal, work), isShared: false };
      try {
        return { result: await orAborted(flight.result, signal), isShared: true };
      } catch (error) {
        if (signal.aborted || !flight.signal.aborted) throw error;
      }
    }
  }

  async #begin(name: string, signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    const result = work();
    this.#flights.set(name, { result, signal });
    try {
      return await result;
    } finally {
      this.#flights.delete(name);
    }
  }
}

interface Flight<T> {
  readonly result: Promise<T>;
  /** Of the caller who began it. */
  readonly signal: AbortSignal;
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
