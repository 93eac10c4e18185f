import type { SessionKey } from "#stream/session-progress.ts";
import type { EpochSnapshot } from "./epochs.ts";
import type { Committed, ProgressSubscriptions, SessionSubscription } from "./subscriptions.ts";

/** The progress of a session, as a stream reports it. */
export interface StreamProgress {
  readonly committedThrough: bigint;
  readonly droppedCount: bigint;
  readonly epoch: bigint;
}

const nothing: Committed = { committed: 0n, droppedCount: 0n };

export interface ProgressReportOptions {
  readonly session: SessionKey;
  readonly shard: number;
  readonly epochs: EpochSnapshot;
  readonly subscriptions: ProgressSubscriptions;
  /** Calls `sent` once the connection accepted it, or never if it is gone. */
  readonly send: (progress: StreamProgress, sent: () => void) => void;
}

/**
 * Reports the progress of one session to its device: at once, and on each change. One message is in flight at a time,
 * so a device that stops reading gets the newest progress afterwards, not every one in between.
 */
export class ProgressReport {
  readonly session: SessionKey;
  readonly shard: number;
  readonly #options: ProgressReportOptions;
  readonly #subscription: SessionSubscription;
  #sent: Committed | undefined;
  #sending = false;

  constructor(options: ProgressReportOptions) {
    this.session = options.session;
    this.shard = options.shard;
    this.#options = options;
    this.#subscription = options.subscriptions.subscribe(options.session, () => this.#send());
    this.#send();
  }

  acknowledged(sequence: bigint): void {
    this.#subscription.expect(sequence);
  }

  close(): void {
    this.#sending = true; // nothing more is sent
    this.#subscription.close();
  }

  #send(): void {
    // Without Redis there is no epoch, and no progress that would stay true.
    const epoch = this.#options.epochs.numbers?.get(this.shard);
    const known = this.#subscription.committed ?? nothing;
    if (this.#sending || epoch === undefined || isSame(known, this.#sent)) return;
    this.#sent = known;
    this.#sending = true;
    this.#options.send({ committedThrough: known.committed, droppedCount: known.droppedCount, epoch }, () => {
      this.#sending = false;
      this.#send();
    });
  }
}

function isSame(a: Committed, b: Committed | undefined): boolean {
  return a.committed === b?.committed && a.droppedCount === b.droppedCount;
}
