import type { Readable } from "node:stream";

/** After the signal, a pipe without a byte for this long counts as empty. */
const quietMs = 100;

/** Read at most this much after the signal; the pipe and our own buffers together hold less. */
const bytesMax = 1024 * 1024;

/**
 * Yields the data of a pipe. After the signal it still reads what the writer has already written, which
 * cannot be read again, then closes the pipe.
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
