/** Redis did not confirm: it is unreachable, too slow, or refuses to write. The same append may be tried again. */
export class StreamUnavailableError extends Error {
  override readonly name = "StreamUnavailableError";
}

/** Redis, or this process on its way to Redis, holds as much as it may. The same append may be tried later. */
export class StreamFullError extends Error {
  override readonly name = "StreamFullError";
}
