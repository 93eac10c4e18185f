/** A body that did not arrive in time. The sender repeats the request. */
export class SlowBodyError extends Error {
  override readonly name = "SlowBodyError";

  constructor(bodyMsMax: number) {
    super(`the request did not arrive within ${bodyMsMax / 1_000} s`);
  }
}

/**
 * The pieces of a body; throws a {@link SlowBodyError} when they have not all arrived after `bodyMsMax`. The body is
 * not destroyed then, or its sender would see a broken connection and no response.
 */
export async function* withinTime<Piece>(
  body: AsyncIterable<Piece>,
  bodyMsMax: number,
): AsyncGenerator<Piece> {
  const pieces = body[Symbol.asyncIterator]();
  let isLate = false;
  let interrupt: (() => void) | undefined;
  const timer = setTimeout(() => {
    isLate = true;
    interrupt?.();
  }, bodyMsMax);
  try {
    for (;;) {
      // Not Promise.race: with a promise that stays pending it would keep something for each piece.
      const next = await new Promise<IteratorResult<Piece>>((resolve, reject) => {
        interrupt = () => reject(new SlowBodyError(bodyMsMax));
        if (isLate) interrupt();
        else pieces.next().then(resolve, reject);
      });
      if (next.done) return;
      yield next.value;
    }
  } finally {
    clearTimeout(timer);
    if (!isLate) await pieces.return?.();
  }
}
