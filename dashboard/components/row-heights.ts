/**
 * The offsets of the rows of a long list. Only rows that were shown have a measured height; the others count as
 * `estimate`.
 */
export class RowHeights {
  #heights = new Map<string, number>();
  #tops = new Float64Array(1);
  #keys: readonly string[] = [];
  readonly #estimate: number;

  constructor(estimate: number) {
    this.#estimate = estimate;
  }

  get total(): number {
    return this.#tops[this.#keys.length] ?? 0;
  }

  /** Replaces the rows; drops the heights of rows that are gone. */
  setKeys(keys: readonly string[]): void {
    this.#keys = keys;
    if (this.#heights.size > 2 * keys.length + 1000) {
      const heights = this.#heights;
      this.#heights = new Map(
        keys.flatMap((key) => (heights.has(key) ? [[key, heights.get(key) ?? 0]] : [])),
      );
    }
    this.#place();
  }

  /** Drops every height, as after a change of width. */
  forget(): void {
    this.#heights.clear();
    this.#place();
  }

  /** Records a measured height; true when a row moved. */
  note(measured: ReadonlyMap<string, number>): boolean {
    let moved = false;
    for (const [key, height] of measured) {
      if (Math.abs((this.#heights.get(key) ?? this.#estimate) - height) < 0.5) continue;
      this.#heights.set(key, height);
      moved = true;
    }
    if (moved) this.#place();
    return moved;
  }

  top(index: number): number {
    return this.#tops[Math.max(0, Math.min(index, this.#keys.length))] ?? 0;
  }

  /** The row at this distance from the top. */
  indexAt(y: number): number {
    let [low, high] = [0, this.#keys.length - 1];
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if ((this.#tops[middle] ?? 0) <= y) low = middle;
      else high = middle - 1;
    }
    return Math.max(0, low);
  }

  #place(): void {
    if (this.#tops.length <= this.#keys.length) this.#tops = new Float64Array(this.#keys.length * 2 + 1);
    let top = 0;
    this.#keys.forEach((key, index) => {
      this.#tops[index] = top;
      top += this.#heights.get(key) ?? this.#estimate;
    });
    this.#tops[this.#keys.length] = top;
  }
}
