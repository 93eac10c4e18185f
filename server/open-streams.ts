/** One open stream, as the drain sees it. */
export interface OpenStream {
  /** Reads nothing more, answers what was read, then tells the device to come back elsewhere. */
  end(): Promise<void>;
}

/** The streams that are open, so that a drain can end each of them in order. */
export class OpenStreams {
  readonly #streams = new Set<OpenStream>();
  #ending = false;

  get count(): number {
    return this.#streams.size;
  }

  /** Whether {@link endAll} was called: a new stream is then refused. */
  get isEnding(): boolean {
    return this.#ending;
  }

  add(stream: OpenStream): void {
    this.#streams.add(stream);
  }

  remove(stream: OpenStream): void {
    this.#streams.delete(stream);
  }

  async endAll(): Promise<void> {
    this.#ending = true;
    await Promise.all([...this.#streams].map((stream) => stream.end()));
  }
}
