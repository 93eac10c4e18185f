import { withDeadline } from "#lib/deadline.ts";
import type { Intake } from "./ingest.ts";
import type { OpenStreams } from "./streams/open-streams.ts";

/** One of the server's faces, as far as it has to be closed. */
interface Face {
  close(): Promise<void>;
  destroy(): void;
}

/**
 * Lets go of every device without losing a word: streams are read no further, what was read is appended, its acks are
 * sent, and each stream ends with UNAVAILABLE; calls under way are answered; connections get GOAWAY and close. What is
 * still open after `deadlineMs` is destroyed: those devices send again what was not acknowledged. Being "not ready"
 * comes first and is the caller's.
 */
export async function drain(options: {
  readonly openStreams: OpenStreams;
  readonly intake: Intake;
  readonly faces: readonly Face[];
  readonly deadlineMs: number;
}): Promise<void> {
  const { openStreams, intake, faces, deadlineMs } = options;
  const gracefully = async () => {
    await openStreams.endAll();
    await Promise.all(faces.map((face) => face.close()));
  };
  try {
    await withDeadline("drain", deadlineMs, gracefully());
  } finally {
    intake.close("the server is stopping");
    for (const face of faces) face.destroy();
  }
}
