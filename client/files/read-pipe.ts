import type { Readable } from "node:stream";

/** So long without a byte, after the signal, and the pipe is taken as empty. */
const quietMs = 100;

/** What is read of a pipe after the signal at most: what lies in a pipe and in our own buffers is less. */
const bytesMax = 1024 * 1024;

/**
 * Yields what comes out of a pipe. After the signal, what its writer has written already is still read, for it cannot be
 * read again; then the pipe is closed.
 */
export async function* readPipe(source: Readable, signal: AbortSignal): AsyncGenerator<Buffer> {
  let waitsSince: number | undefined = performance.now();
  let bytesAfter = 0;
  let timer: NodeJS.Timeout | undefined;
  const onAbort = () => {
    waitsSince &&= performance.now();
    timer = setInterval(() => {
      if (waitsSince !== undefined && performance.now() - waitsSince >= quietMs) source.destroy();
    }, quietMs / 2);
  };
  signal.addEventListener("abort", onAbort, { once: true });
  if (signal.aborted) onAbort();
  try {
    for await (const chunk of source) {
      waitsSince = undefined;
      yield chunk;
      if (signal.aborted) bytesAfter += chunk.byteLength;
      if (bytesAfter > bytesMax) return;
      waitsSince = performance.now();
    }
  } catch (error) {
    if (!signal.aborted || (error as NodeJS.ErrnoException).code !== "ERR_STREAM_PREMATURE_CLOSE")
      throw error;
  } finally {
    signal.removeEventListener("abort", onAbort);
    clearInterval(timer);
  }
}
