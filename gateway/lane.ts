/** Enough callers wait already: come back later. */
export class BusyError extends Error {
  override readonly name = "BusyError";
}

export interface LaneOptions {
  readonly atOnceMax: number;
  readonly waitingMax: number;
  readonly waitMsMax: number;
}

/** Lets a few through at once; the others wait, in the order in which they came, a bounded number for a bounded time. */
export class Lane {
  readonly #options: LaneOptions;
  readonly #waiting = new Set<() => void>();
  #inside = 0;

  constructor(options: LaneOptions) {
    this.#options = options;
  }

  /**
   * Returns once there is room, and how to leave again. Throws {@link BusyError} when too many wait already or it took
   * too long, and the signal's reason when that aborts.
   */
  async enter(signal: AbortSignal): Promise<() => void> {
    signal.throwIfAborted();
    if (this.#inside >= this.#options.atOnceMax) await this.#wait(signal);
    else this.#inside += 1;
    let isInside = true;
    return () => {
      if (isInside) this.#leave();
      isInside = false;
    };
  }

  /** Who leaves gives the place to the one who waits longest, if there is one: it is never free in between. */
  #leave(): void {
    const [next] = this.#waiting;
    if (next === undefined) this.#inside -= 1;
    else next();
  }

  async #wait(signal: AbortSignal): Promise<void> {
    const { waitingMax, waitMsMax } = this.#options;
    if (this.#waiting.size >= waitingMax) {
      throw new BusyError(`${this.#waiting.size} expensive queries wait for their turn`);
    }
    const turn = Promise.withResolvers<void>();
    // Whatever ends the waiting takes it out of the line at once: no place is given to somebody who has gone.
    const end = (how: () => void) => () => {
      this.#waiting.delete(onTurn);
      clearTimeout(timer);
      signal.removeEventListener("abort", onAbort);
      how();
    };
    const onTurn = end(turn.resolve);
    const onAbort = end(() => turn.reject(signal.reason as Error));
    const tooLong = `waited ${waitMsMax} ms behind other expensive queries`;
    const timer = setTimeout(
      end(() => turn.reject(new BusyError(tooLong))),
      waitMsMax,
    );
    signal.addEventListener("abort", onAbort);
    this.#waiting.add(onTurn);
    await turn.promise;
  }
}
