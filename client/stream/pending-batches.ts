import { SequenceRanges } from "#client/stream/sequence-ranges.ts";
import type { Sendable } from "#client/transports/transport.ts";

/** A numbered batch that is not settled. */
export interface SentBatch<Note> {
  readonly sequence: bigint;
  readonly recordCount: number;
  /** The caller's value that identifies the batch. */
  readonly note: Note;
}

/** The request is encoded once, so that a retry has the same bytes. */
export interface PendingBatch<Note> extends SentBatch<Note>, Sendable {
  /** Set on a declaration: it replaces the batches from `sequence` to this one, which will never arrive. */
  readonly droppedUntil?: bigint | undefined;
}

/** Stores batches outside memory; see Spool. */
export interface Journal {
  /** Stores the batch and returns a handle that reads its bytes again. Throws when it cannot be written. */
  append(batch: Omit<PendingBatch<unknown>, "note">): Sendable;
  /** Batches up to this one may have been received by now. */
  written(sequence: bigint): void;
  /** The batch is settled. */
  settled(sequence: bigint): void;
}

/** Whether the batch, or the declaration, is in PostgreSQL. */
export type IsCommitted = (batch: Pick<PendingBatch<unknown>, "sequence" | "droppedUntil">) => boolean;

interface Entry<Note> {
  readonly batch: PendingBatch<Note>;
  state: "unsent" | "in flight" | "accepted";
  /** It was written on a link and may have arrived. */
  wasWritten: boolean;
  /** The epoch in which it was accepted, if known. */
  epoch?: bigint | undefined;
}

/**
 * Every unsettled batch, by sequence. A batch is unsent: still to be written on the current link, in
 * order of sequence whatever sent it back; or in flight: written, not acknowledged; or accepted: waiting
 * to be committed.
 */
export class PendingBatches<Note> {
  readonly #journal: Journal | undefined;
  readonly #entries = new Map<bigint, Entry<Note>>();
  /** The sequences that this device declared as dropped, settled or not. */
  readonly #declaredDrops = new SequenceRanges();
  #unsent: Entry<Note>[] = [];
  #accepted = 0;
  #bytes = 0;

  constructor(journal?: Journal) {
    this.#journal = journal;
  }

  get all(): readonly PendingBatch<Note>[] {
    return inOrder([...this.#entries.values()]).map(({ batch }) => batch);
  }

  get count(): number {
    return this.#entries.size;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** How many are accepted and wait to be committed. */
  get acceptedCount(): number {
    return this.#accepted;
  }

  /**
   * How many batches up to this one the device itself declared as dropped, as far as this process
   * remembers.
   */
  declaredDropsUntil(sequence: bigint): bigint {
    return this.#declaredDrops.countUntil(sequence);
  }

  get nextUnsent(): PendingBatch<Note> | undefined {
    return this.#unsent[0]?.batch;
  }

  /**
   * Adds the batch with the highest sequence so far. Throws, and keeps nothing, when the journal cannot
   * be written.
   */
  add(batch: PendingBatch<Note>): void {
    this.restore(this.#journaled(batch), false);
  }

  /** As {@link add}, for a batch that is already in the journal. */
  restore(batch: PendingBatch<Note>, wasWritten: boolean): void {
    const entry: Entry<Note> = { batch, state: "unsent", wasWritten };
    this.#entries.set(batch.sequence, entry);
    if (batch.droppedUntil !== undefined) this.#declaredDrops.add(batch.sequence, batch.droppedUntil);
    this.#unsent.push(entry);
    this.#bytes += batch.byteLength;
  }

  /** Marks {@link nextUnsent} as written. */
  written(): void {
    const entry = this.#unsent.shift();
    if (entry === undefined) throw new Error("no batch is unsent");
    entry.state = "in flight";
    if (!entry.wasWritten) this.#journal?.written(entry.batch.droppedUntil ?? entry.batch.sequence);
    entry.wasWritten = true;
  }

  /** Marks `batch` to be written again on the same link. */
  writeAgain(batch: PendingBatch<Note>): void {
    this.#writeAgain([this.#getEntry(batch)]);
  }

  /** The link ended: marks every batch in flight as unsent. */
  writeAllAgain(): void {
    this.#writeAgain([...this.#entries.values()].filter(({ state }) => state === "in flight"));
  }

  /** Marks `batch` as accepted in this epoch; it is kept until it is committed. */
  accept(batch: PendingBatch<Note>, epoch: bigint | undefined): void {
    const entry = this.#getEntry(batch);
    entry.state = "accepted";
    entry.epoch = epoch;
    this.#accepted++;
  }

  /** Marks batches accepted in another epoch as unsent, because they may be lost. Returns their number. */
  writeOtherEpochsAgain(epoch: bigint): number {
    return this.#writeAgain(this.#acceptedEntries().filter((entry) => entry.epoch !== epoch));
  }

  /** Resends the oldest accepted batches, in case they are lost. */
  writeOldestAcceptedAgain(countMax: number): void {
    this.#writeAgain(this.#acceptedEntries().slice(0, countMax));
  }

  /** Settles the accepted batches that `isCommitted` selects, and returns them. */
  commit(isCommitted: IsCommitted): readonly PendingBatch<Note>[] {
    const committed = [...this.#entries.values()].filter(
      ({ state, batch }) => state === "accepted" && isCommitted(batch),
    );
    if (committed.length > 0) this.#remove(committed);
    return committed.map(({ batch }) => batch);
  }

  /** Settles the oldest accepted batch and returns it. */
  releaseOldestAccepted(): PendingBatch<Note> | undefined {
    const [oldest] = this.#acceptedEntries();
    if (oldest) this.#remove([oldest]);
    return oldest?.batch;
  }

  /** Settles `batch`. */
  forget(batch: PendingBatch<Note>): void {
    this.#remove([this.#getEntry(batch)]);
  }

  /**
   * The oldest batches that were never written and may still be dropped, including declarations, without
   * a gap between them.
   */
  oldestUnwritten(countMax: number): readonly PendingBatch<Note>[] {
    const entries: Entry<Note>[] = [];
    let count = 0;
    let next: bigint | undefined;
    for (const entry of this.#unsent) {
      if (entry.wasWritten) continue;
      const { sequence, droppedUntil } = entry.batch;
      if (sequence !== next) {
        // What lies between may have arrived: behind a declaration alone the next ones are looked at.
        if (count > 0) break;
        entries.length = 0;
      }
      if (droppedUntil === undefined && count++ >= countMax) break;
      entries.push(entry);
      next = (droppedUntil ?? sequence) + 1n;
    }
    return entries.map(({ batch }) => batch);
  }

  /** Replaces `batches` by a declaration that has their first number and is still to be written. */
  replace(batches: readonly PendingBatch<Note>[], declaration: PendingBatch<Note>): void {
    const entries = batches.map((batch) => this.#getEntry(batch));
    const stored = this.#journaled(declaration); // also settles the others in the journal
    this.#remove(entries, false);
    this.restore(stored, false);
    inOrder(this.#unsent);
  }

  #journaled(batch: PendingBatch<Note>): PendingBatch<Note> {
    if (!this.#journal) return batch;
    const { recordCount, note, droppedUntil } = batch;
    return Object.assign(this.#journal.append(batch), { recordCount, note, droppedUntil });
  }

  #acceptedEntries(): Entry<Note>[] {
    if (this.#accepted === 0) return [];
    return inOrder([...this.#entries.values()].filter(({ state }) => state === "accepted"));
  }

  #writeAgain(entries: readonly Entry<Note>[]): number {
    for (const entry of entries) {
      if (entry.state === "accepted") this.#accepted--;
      entry.state = "unsent";
      entry.epoch = undefined;
      this.#unsent.push(entry);
    }
    if (entries.length > 0) inOrder(this.#unsent);
    return entries.length;
  }

  #remove(entries: readonly Entry<Note>[], fromJournal = true): void {
    const gone = new Set(entries);
    if (entries.some(({ state }) => state === "unsent")) {
      this.#unsent = this.#unsent.filter((entry) => !gone.has(entry));
    }
    for (const { batch, state } of entries) {
      if (state === "accepted") this.#accepted--;
      this.#entries.delete(batch.sequence);
      this.#bytes -= batch.byteLength;
      if (fromJournal) this.#journal?.settled(batch.sequence);
    }
  }

  #getEntry(batch: PendingBatch<Note>): Entry<Note> {
    const entry = this.#entries.get(batch.sequence);
    if (entry?.batch !== batch) throw new Error(`batch ${batch.sequence} was already acknowledged`);
    return entry;
  }
}

/** Sorts in place; the entries are nearly in order, so one pass is enough. */
function inOrder<Note>(entries: Entry<Note>[]): Entry<Note>[] {
  return entries.sort(({ batch: a }, { batch: b }) => (a.sequence < b.sequence ? -1 : 1));
}
