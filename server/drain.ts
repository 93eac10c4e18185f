import { withDeadline } from "#lib/deadline.ts";
import type { Ingest } from "./ingest.ts";
import type { OpenStreams } from "./streams/open-streams.ts";

interface Listener {
  close(): Promise<void>;
  destroy(): void;
}

/**
 * Closes every connection without losing an ack: streams stop reading, what was read is appended and acknowledged, and
 * each stream ends with UNAVAILABLE; calls in flight are answered; connections get GOAWAY and close. Destroys what is
 * still open after `deadlineMs`: those devices send their unacknowledged batches again. The caller reports "not ready"
 * first.
 */
export async function drain(options: {
  readonly openStreams: OpenStreams;
  readonly ingest: Ingest;
  readonly listeners: readonly Listener[];
  readonly deadlineMs: number;
}): Promise<void> {
  const { openStreams, ingest, listeners, deadlineMs } = options;
  const gracefully = async () => {
    await openStreams.endAll();
    await Promise.all(listeners.map((listener) => listener.close()));
  };
  try {
    await withDeadline("drain", deadlineMs, gracefully());
  } finally {
    ingest.close("the server is stopping");
    for (const listener of listeners) listener.destroy();
  }
}
