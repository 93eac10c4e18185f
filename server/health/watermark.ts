/**
 * A level with a high and a low mark: "above" begins when the level reaches the high mark and ends when it has fallen
 * to the low one, so that a level around one mark does not make every batch a matter of luck.
 */
export class Watermark {
  readonly high: number;
  readonly low: number;
  #isAbove = false;

  constructor(high: number, low: number) {
    if (!(low < high)) throw new RangeError(`a low mark of ${low} is not below the high one of ${high}`);
    this.high = high;
    this.low = low;
  }

  get isAbove(): boolean {
    return this.#isAbove;
  }

  /** Takes the level as it is now. Bounds between which both answers are possible change nothing. */
  update({ atLeast, atMost }: { readonly atLeast: number; readonly atMost: number }): void {
    if (atLeast >= this.high) this.#isAbove = true;
    else if (atMost <= this.low) this.#isAbove = false;
  }
}
