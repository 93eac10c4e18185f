/**
 * A level with hysteresis: "above" starts when the level reaches the high mark and ends when it falls to the low one,
 * so that a level around one mark does not toggle with every batch.
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

  /** Updates the level, known as a lower and an upper bound. Bounds that allow both answers change nothing. */
  update({ atLeast, atMost }: { readonly atLeast: number; readonly atMost: number }): void {
    if (atLeast >= this.high) this.#isAbove = true;
    else if (atMost <= this.low) this.#isAbove = false;
  }
}
