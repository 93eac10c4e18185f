/** A period during which nothing is written; calls `onEnd` afterwards. */
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

  /** Lasts at least `ms` from now: a pause can only be extended. */
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
