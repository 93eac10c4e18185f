import type { IsCommitted, PendingBatch, PendingBatches } from "#client/stream/pending-batches.ts";
import type { GetSessionResponse, Progress } from "#proto/gen/fleetlog/v1/ingest_pb.ts";
import type { SequenceRange } from "#proto/gen/fleetlog/v1/log_pb.ts";

export interface CommitTrackerOptions<Note> {
  readonly pending: PendingBatches<Note>;
  /** How often to poll the server while batches wait and no progress arrives. */
  readonly pollMs: number;
  /** The same while progress is not trusted. */
  readonly doubtPollMs: number;
  /** After this long without progress the oldest waiting batches are resent. */
  readonly timeoutMs: number;
  readonly getSession: () => Promise<GetSessionResponse>;
  readonly onCommitted: (batch: PendingBatch<Note>) => void;
  /** Batches were settled or must be resent. */
  readonly onChange: () => void;
}

/**
 * Keeps accepted batches until the server reports them as committed. Each batch remembers the epoch of
 * the link that accepted it: another epoch means that Redis may have lost the batch, so it is resent.
 * Batches that stay uncommitted for `timeoutMs` for any other reason are resent too: first one, then two,
 * … at most {@link resendMax} at a time, so that devices do not pile up copies while only PostgreSQL is
 * down.
 *
 * Session names are not secret, so another sender may declare a device's batches as dropped. Progress
 * that counts other drops than the device's own is not trusted: the tracker then asks which batches are
 * stored, and keeps the others.
 */
export class CommitTracker<Note> {
  readonly #options: CommitTrackerOptions<Note>;
  #epoch: bigint | undefined;
  #committed = 0n;
  #isInDoubt = false;
  #timer: NodeJS.Timeout | undefined;
  #progressAt = 0;
  #resendCount = 1;
  #closed = false;

  constructor(options: CommitTrackerOptions<Note>) {
    this.#options = options;
  }

  /** A new link reports its own epoch. */
  connecting(): void {
    this.#epoch = undefined;
  }

  accept(batch: PendingBatch<Note>): void {
    this.#options.pending.accept(batch, this.#epoch);
    if (batch.sequence <= this.#committed) this.#settle(({ sequence }) => sequence <= this.#committed);
    if (this.#timer === undefined) this.#wait();
  }

  receive({ committedThrough, droppedCount, epoch }: Progress): void {
    const { pending, onChange } = this.#options;
    this.#epoch = epoch;
    this.#doubt(droppedCount !== pending.declaredDropsUntil(committedThrough));
    if (!this.#isInDoubt && committedThrough > this.#committed) this.#committed = committedThrough;
    const settled = this.#settle(({ sequence }) => sequence <= this.#committed);
    if (pending.writeOtherEpochsAgain(epoch) + settled > 0) onChange();
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
    const committed = this.#options.pending.commit(isCommitted);
    for (const batch of committed) this.#options.onCommitted(batch);
    if (committed.length > 0) this.#progressAt = performance.now();
    return committed.length;
  }

  #wait(): void {
    this.#progressAt = performance.now();
    this.#resendCount = 1;
    this.#restartTimer();
  }

  #restartTimer(): void {
    this.#timer = setTimeout(() => void this.#check(), this.#pollMs);
  }

  /** Polls the server unless progress arrived recently. */
  async #check(): Promise<void> {
    const { pending, getSession, timeoutMs, onChange } = this.#options;
    const isSilent = () =>
      this.#isInDoubt || performance.now() - this.#progressAt >= Math.min(this.#pollMs, timeoutMs) - 1;
    if (pending.acceptedCount > 0 && isSilent()) {
      const state = await getSession().catch(() => undefined); // an unavailable server is polled again
      if (this.#closed) return;
      const settled = state ? this.#settle(isCommittedIn(state)) : 0;
      const isStuck = pending.acceptedCount > 0 && performance.now() - this.#progressAt >= timeoutMs;
      if (isStuck) this.#resendOldest();
      if (isStuck || settled > 0) onChange();
    }
    if (pending.acceptedCount > 0) this.#restartTimer();
    else this.#timer = undefined;
  }

  #resendOldest(): void {
    this.#options.pending.writeOldestAcceptedAgain(this.#resendCount);
    this.#resendCount = Math.min(this.#resendCount * 2, resendMax);
    this.#progressAt = performance.now();
  }
}

/** The maximum in flight. */
const resendMax = 32;

/**
 * The committed batches according to GetSession: the stored ones, and the device's own declarations. A
 * drop that another sender declared does not settle a batch.
 */
function isCommittedIn({ committedRanges, droppedRanges }: GetSessionResponse): IsCommitted {
  return ({ sequence, droppedUntil }) =>
    committedRanges.some((range) => contains(range, sequence, droppedUntil ?? sequence)) ||
    (droppedUntil !== undefined && droppedRanges.some((range) => contains(range, sequence, droppedUntil)));
}

function contains({ first, last }: SequenceRange, from: bigint, to: bigint): boolean {
  return first <= from && to <= last;
}
