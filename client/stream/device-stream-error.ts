import type { SentBatch } from "#client/stream/kept-batches.ts";

/** The stream failed for good. `unacknowledged` may or may not be stored: no verdict on them arrived. */
export class DeviceStreamError<Note = unknown> extends Error {
  override readonly name = "DeviceStreamError";
  readonly unacknowledged: readonly SentBatch<Note>[];

  constructor(message: string, unacknowledged: readonly SentBatch<Note>[]) {
    super(message);
    this.unacknowledged = unacknowledged;
  }
}
