/** A batch that has a number and is kept until it has its verdict. */
export interface SentBatch<Note> {
  readonly sequence: bigint;
  readonly recordCount: number;
  /** What the caller gave with it, to know the batch by. */
  readonly note: Note;
}

export interface KeptBatch<Note> extends SentBatch<Note> {
  /** The encoded StreamLogsRequest: encoded once, so that a retry has the same bytes. */
  readonly request: Buffer;
}

/**
 * Every batch without a verdict, by sequence, and which of them are still to be written on the present connection;
 * those come in the order of their sequence too, whatever sent them back.
 */
export class KeptBatches<Note> {
  readonly #all: KeptBatch<Note>[] = [];
  #unsent: KeptBatch<Note>[] = [];
  #bytes = 0;

  get all(): readonly KeptBatch<Note>[] {
    return this.#all;
  }

  get count(): number {
    return this.#all.length;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get nextUnsent(): KeptBatch<Note> | undefined {
    return this.#unsent[0];
  }

  /** `batch` has the highest sequence so far. */
  add(batch: KeptBatch<Note>): void {
    this.#all.push(batch);
    this.#unsent.push(batch);
    this.#bytes += batch.request.byteLength;
  }

  /** Takes {@link nextUnsent} as written. */
  written(): void {
    this.#unsent.shift();
  }

  /** `batch` has to be written once more on the same connection. */
  writeAgain(batch: KeptBatch<Note>): void {
    this.#unsent.push(batch);
    this.#unsent.sort((a, b) => (a.sequence < b.sequence ? -1 : 1));
  }

  /** The connection is gone, and with it whatever was written on it. */
  writeAllAgain(): void {
    this.#unsent = [...this.#all];
  }

  /** `batch` has its verdict. */
  forget(batch: KeptBatch<Note>): void {
    const at = this.#all.indexOf(batch);
    if (at === -1) throw new Error(`batch ${batch.sequence} has had its verdict already`);
    this.#all.splice(at, 1);
    this.#bytes -= batch.request.byteLength;
  }
}
