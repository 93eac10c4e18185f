/** A time in which nothing is written; `onEnd` is called when it is over. */
export class Pause {
  readonly #onEnd: () => void;
  #timer: NodeJS.Timeout | undefined;
  #until = 0;

  constructor(onEnd: () => void) {
    this.#onEnd = onEnd;
  }

  get isOn(): boolean {
    return this.#timer !== undefined;
  }

  /** Lasts at least that long from now: a pause is made longer, never shorter. */
  atLeast(ms: number): void {
    const until = performance.now() + ms;
    if (this.isOn && this.#until >= until) return;
    clearTimeout(this.#timer);
    this.#until = until;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#onEnd();
    }, ms);
  }

  cancel(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }
}
