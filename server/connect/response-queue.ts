/**
 * Responses on their way from a stream, which sends whenever it has something to say, to connect-node, which asks for
 * one at a time. It has no bound of its own: a stream has at most 32 acks, a progress and a heartbeat unsent.
 */
export class ResponseQueue<Response> {
  readonly #waiting: { readonly response: Response; readonly sent: () => void }[] = [];
  #ending: { readonly error: Error | undefined } | undefined;
  #changed = Promise.withResolvers<void>();

  /** `sent` is called when the next response is asked for: then the connection has this one. */
  push(response: Response, sent: () => void): void {
    this.#waiting.push({ response, sent });
    this.#changed.resolve();
  }

  /** Ends the iteration after what still waits, with an error or without. Only the first call counts. */
  end(error?: Error): void {
    this.#ending ??= { error };
    this.#changed.resolve();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Response, void, undefined> {
    for (;;) {
      const next = this.#waiting.shift();
      if (next !== undefined) {
        yield next.response;
        next.sent();
      } else if (this.#ending === undefined) {
        this.#changed = Promise.withResolvers();
        await this.#changed.promise;
      } else if (this.#ending.error === undefined) {
        return;
      } else {
        throw this.#ending.error;
      }
    }
  }
}
