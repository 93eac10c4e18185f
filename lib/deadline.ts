/** Thrown by {@link withDeadline}. */
export class DeadlineError extends Error {
  override readonly name = "DeadlineError";
}

/** Waits for `work` at most `ms`; beyond that throws a {@link DeadlineError} that names `what`. The work continues. */
export async function withDeadline<T>(what: string, ms: number, work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const expired = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new DeadlineError(`${what}: timed out after ${ms} ms`)), ms);
  });
  try {
    return await Promise.race([work, expired]);
  } finally {
    clearTimeout(timer);
  }
}
