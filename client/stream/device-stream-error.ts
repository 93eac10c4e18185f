import type { SentBatch } from "#client/stream/pending-batches.ts";

/** The stream failed permanently. `unacknowledged` batches may or may not be stored. */
export class DeviceStreamError<Note = unknown> extends Error {
  override readonly name = "DeviceStreamError";
  readonly unacknowledged: readonly SentBatch<Note>[];

  constructor(message: string, unacknowledged: readonly SentBatch<Note>[]) {
    super(message);
    this.unacknowledged = unacknowledged;
  }
}
