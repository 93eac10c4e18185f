import type { SessionKey } from "#stream/session-progress.ts";
import type { Epochs } from "./epochs.ts";
import type { Committed, SessionWatches, Watch } from "./subscriptions.ts";

/** How far a session is committed, as a stream tells it. */
export interface StreamProgress {
  readonly committedThrough: bigint;
  readonly droppedCount: bigint;
  readonly epoch: bigint;
}

const nothing: Committed = { committed: 0n, droppedCount: 0n };

export interface ProgressReportOptions {
  readonly name: SessionKey;
  readonly shard: number;
  readonly epochs: Epochs;
  readonly watches: SessionWatches;
  /** Sends it; calls `sent` when the connection has taken it, or never if it is gone. */
  readonly say: (progress: StreamProgress, sent: () => void) => void;
}

/**
 * Tells a device how far one session is committed: at once, and whenever it changes. One message is under way at a
 * time, so a device that does not read finds the newest when it reads again, not all there ever was.
 */
export class ProgressReport {
  readonly name: SessionKey;
  readonly shard: number;
  readonly #options: ProgressReportOptions;
  readonly #watch: Watch;
  #told: Committed | undefined;
  #saying = false;

  constructor(options: ProgressReportOptions) {
    this.name = options.name;
    this.shard = options.shard;
    this.#options = options;
    this.#watch = options.watches.watch(options.name, () => this.#tell());
    this.#tell();
  }

  acknowledged(sequence: bigint): void {
    this.#watch.expect(sequence);
  }

  close(): void {
    this.#saying = true; // nothing more is said
    this.#watch.close();
  }

  #tell(): void {
    // Without a Redis there is no epoch, and nothing to tell that could be true for long.
    const epoch = this.#options.epochs.numbers?.get(this.shard);
    const known = this.#watch.committed ?? nothing;
    if (this.#saying || epoch === undefined || isSame(known, this.#told)) return;
    this.#told = known;
    this.#saying = true;
    this.#options.say({ committedThrough: known.committed, droppedCount: known.droppedCount, epoch }, () => {
      this.#saying = false;
      this.#tell();
    });
  }
}

function isSame(a: Committed, b: Committed | undefined): boolean {
  return a.committed === b?.committed && a.droppedCount === b.droppedCount;
}
