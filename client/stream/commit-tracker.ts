import type { IsCommitted, KeptBatch, KeptBatches } from "#client/stream/kept-batches.ts";
import type { GetSessionResponse, Progress } from "#proto/gen/fleetlog/v1/ingest_pb.ts";
import type { SequenceRange } from "#proto/gen/fleetlog/v1/log_pb.ts";

export interface CommitTrackerOptions<Note> {
  readonly kept: KeptBatches<Note>;
  /** How often the server is asked while batches wait and nothing is heard. */
  readonly pollMs: number;
  /** The same while progress cannot be believed. */
  readonly doubtPollMs: number;
  /** After so long without progress the oldest batches that wait are written again. */
  readonly timeoutMs: number;
  readonly getSession: () => Promise<GetSessionResponse>;
  readonly onCommitted: (batch: KeptBatch<Note>) => void;
  /** Batches were settled, or are to be written again. */
  readonly onChange: () => void;
}

/**
 * Keeps accepted batches until the server says that they are committed. Each is remembered with the epoch of the link that
 * accepted it: a link with another epoch means that Redis may have lost it, so it is written again. However else a batch
 * got lost behind the server, it is written again after a while: first one, then two, … at most {@link againMax} at a
 * time, so that devices do not pile up copies while only PostgreSQL is unreachable.
 *
 * A session's name is no secret, so anybody may have declared its batches as dropped. Progress that counts other drops
 * than the device's own is not believed: the server is asked which batches are stored, and the others are kept.
 */
export class CommitTracker<Note> {
  readonly #options: CommitTrackerOptions<Note>;
  #epoch: bigint | undefined;
  #committed = 0n;
  #isInDoubt = false;
  #timer: NodeJS.Timeout | undefined;
  #progressAt = 0;
  #again = 1;
  #closed = false;

  constructor(options: CommitTrackerOptions<Note>) {
    this.#options = options;
  }

  /** A new link tells its epoch anew. */
  connecting(): void {
    this.#epoch = undefined;
  }

  accept(batch: KeptBatch<Note>): void {
    this.#options.kept.accept(batch, this.#epoch);
    if (batch.sequence <= this.#committed) this.#settle(({ sequence }) => sequence <= this.#committed);
    if (this.#timer === undefined) this.#wait();
  }

  receive({ committedThrough, droppedCount, epoch }: Progress): void {
    const { kept, onChange } = this.#options;
    this.#epoch = epoch;
    this.#doubt(droppedCount !== kept.declaredUntil(committedThrough));
    if (!this.#isInDoubt && committedThrough > this.#committed) this.#committed = committedThrough;
    const settled = this.#settle(({ sequence }) => sequence <= this.#committed);
    if (kept.writeOtherEpochsAgain(epoch) + settled > 0) onChange();
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
  }

  #doubt(isInDoubt: boolean): void {
    if (this.#isInDoubt === isInDoubt) return;
    this.#isInDoubt = isInDoubt;
    if (this.#timer === undefined) return;
    clearTimeout(this.#timer);
    this.#restartTimer();
  }

  get #pollMs(): number {
    return this.#isInDoubt ? this.#options.doubtPollMs : this.#options.pollMs;
  }

  #settle(isCommitted: IsCommitted): number {
    const committed = this.#options.kept.commit(isCommitted);
    for (const batch of committed) this.#options.onCommitted(batch);
    if (committed.length > 0) this.#progressAt = performance.now();
    return committed.length;
  }

  #wait(): void {
    this.#progressAt = performance.now();
    this.#again = 1;
    this.#restartTimer();
  }

  #restartTimer(): void {
    this.#timer = setTimeout(() => void this.#check(), this.#pollMs);
  }

  /** Asks unless something was heard lately. */
  async #check(): Promise<void> {
    const { kept, getSession, timeoutMs, onChange } = this.#options;
    const isSilent = () =>
      this.#isInDoubt || performance.now() - this.#progressAt >= Math.min(this.#pollMs, timeoutMs) - 1;
    if (kept.acceptedCount > 0 && isSilent()) {
      const state = await getSession().catch(() => undefined); // who cannot tell is asked again
      if (this.#closed) return;
      const settled = state ? this.#settle(settledBy(state)) : 0;
      const isStuck = kept.acceptedCount > 0 && performance.now() - this.#progressAt >= timeoutMs;
      if (isStuck) this.#writeAgain();
      if (isStuck || settled > 0) onChange();
    }
    if (kept.acceptedCount > 0) this.#restartTimer();
    else this.#timer = undefined;
  }

  #writeAgain(): void {
    this.#options.kept.writeOldestAcceptedAgain(this.#again);
    this.#again = Math.min(this.#again * 2, againMax);
    this.#progressAt = performance.now();
  }
}

/** As many as may be under way at once. */
const againMax = 32;

/**
 * Which batches of the session are settled, by what the server tells of it: batches that are stored, and the device's
 * declarations. What somebody declared as dropped is no reason to give up a batch.
 */
function settledBy({ committedRanges, droppedRanges }: GetSessionResponse): IsCommitted {
  return ({ sequence, droppedUntil }) =>
    committedRanges.some((range) => holds(range, sequence, droppedUntil ?? sequence)) ||
    (droppedUntil !== undefined && droppedRanges.some((range) => holds(range, sequence, droppedUntil)));
}

function holds({ first, last }: SequenceRange, from: bigint, to: bigint): boolean {
  return first <= from && to <= last;
}
