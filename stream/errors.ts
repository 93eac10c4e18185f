/** Redis did not confirm: it is unreachable, too slow, or refuses to write. Retry the same append. */
export class StreamUnavailableError extends Error {
  override readonly name = "StreamUnavailableError";
}

/** Redis, or this process, holds as much as it may. Retry the same append later. */
export class StreamFullError extends Error {
  override readonly name = "StreamFullError";
}
