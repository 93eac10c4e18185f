import { SequenceRanges } from "#client/stream/sequence-ranges.ts";
import type { Sendable } from "#client/transports/transport.ts";

/** A batch that has a number and is kept until it is settled. */
export interface SentBatch<Note> {
  readonly sequence: bigint;
  readonly recordCount: number;
  /** What the caller gave with it, to know the batch by. */
  readonly note: Note;
}

/** Its request is encoded once, so that a retry has the same bytes. */
export interface KeptBatch<Note> extends SentBatch<Note>, Sendable {
  /** Set on a declaration: it stands for the batches from `sequence` to this one, which will never come. */
  readonly droppedUntil?: bigint | undefined;
}

/** Where batches are kept besides in memory; see Spool. */
export interface Journal {
  /** Writes the batch down and returns where its bytes can be read again. Throws when it cannot be written. */
  append(batch: Omit<KeptBatch<unknown>, "note">): Sendable;
  /** From now on somebody else may have seen the batches up to this one. */
  written(sequence: bigint): void;
  /** The batch need not be kept any longer. */
  settled(sequence: bigint): void;
}

/** Whether the server has the batch, or the declaration, in PostgreSQL. */
export type IsCommitted = (batch: Pick<KeptBatch<unknown>, "sequence" | "droppedUntil">) => boolean;

interface Entry<Note> {
  readonly batch: KeptBatch<Note>;
  state: "unsent" | "under way" | "accepted";
  /** It was written on some link, and may have arrived. */
  wasWritten: boolean;
  /** The epoch in which it was accepted, where one was told. */
  epoch?: bigint | undefined;
}

/**
 * Every batch that is not settled, by sequence. Each is unsent: still to be written on the present link, in the order of
 * sequence whatever sent it back; or under way: written, without an answer; or accepted, and waits to be committed.
 */
export class KeptBatches<Note> {
  readonly #journal: Journal | undefined;
  readonly #entries = new Map<bigint, Entry<Note>>();
  /** What this device declared as dropped itself, settled or not. */
  readonly #declared = new SequenceRanges();
  #unsent: Entry<Note>[] = [];
  #accepted = 0;
  #bytes = 0;

  constructor(journal?: Journal) {
    this.#journal = journal;
  }

  get all(): readonly KeptBatch<Note>[] {
    return inOrder([...this.#entries.values()]).map(({ batch }) => batch);
  }

  get count(): number {
    return this.#entries.size;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** How many were accepted and wait to be committed. */
  get acceptedCount(): number {
    return this.#accepted;
  }

  /** How many batches up to this one the device declared as dropped itself, as far as this process remembers. */
  declaredUntil(sequence: bigint): bigint {
    return this.#declared.countUntil(sequence);
  }

  get nextUnsent(): KeptBatch<Note> | undefined {
    return this.#unsent[0]?.batch;
  }

  /** `batch` has the highest sequence so far. Throws, and keeps nothing, when the journal cannot be written. */
  add(batch: KeptBatch<Note>): void {
    this.restore(this.#journaled(batch), false);
  }

  /** As {@link add}, of a batch that is in the journal already. */
  restore(batch: KeptBatch<Note>, wasWritten: boolean): void {
    const entry: Entry<Note> = { batch, state: "unsent", wasWritten };
    this.#entries.set(batch.sequence, entry);
    if (batch.droppedUntil !== undefined) this.#declared.add(batch.sequence, batch.droppedUntil);
    this.#unsent.push(entry);
    this.#bytes += batch.byteLength;
  }

  /** Takes {@link nextUnsent} as written. */
  written(): void {
    const entry = this.#unsent.shift();
    if (entry === undefined) throw new Error("no batch is unsent");
    entry.state = "under way";
    if (!entry.wasWritten) this.#journal?.written(entry.batch.droppedUntil ?? entry.batch.sequence);
    entry.wasWritten = true;
  }

  /** `batch` has to be written once more on the same link. */
  writeAgain(batch: KeptBatch<Note>): void {
    this.#writeAgain([this.#entryOf(batch)]);
  }

  /** The link is gone, and with it whatever was under way. */
  writeAllAgain(): void {
    this.#writeAgain([...this.#entries.values()].filter(({ state }) => state === "under way"));
  }

  /** `batch` is on disk at the server, in this epoch, and kept until it is committed. */
  accept(batch: KeptBatch<Note>, epoch: bigint | undefined): void {
    const entry = this.#entryOf(batch);
    entry.state = "accepted";
    entry.epoch = epoch;
    this.#accepted++;
  }

  /** What was accepted in another epoch may be gone: it has to be written again. Returns how many. */
  writeOtherEpochsAgain(epoch: bigint): number {
    return this.#writeAgain(this.#acceptedEntries().filter((entry) => entry.epoch !== epoch));
  }

  /** Writes the oldest that wait to be committed once more, in case they are missing. */
  writeOldestAcceptedAgain(countMax: number): void {
    this.#writeAgain(this.#acceptedEntries().slice(0, countMax));
  }

  /** Settles the batches that were accepted and, by what the server says, are committed; returns them. */
  commit(isCommitted: IsCommitted): readonly KeptBatch<Note>[] {
    const committed = [...this.#entries.values()].filter(
      ({ state, batch }) => state === "accepted" && isCommitted(batch),
    );
    if (committed.length > 0) this.#remove(committed);
    return committed.map(({ batch }) => batch);
  }

  /** Settles the oldest batch that was accepted, and returns it. */
  releaseOldestAccepted(): KeptBatch<Note> | undefined {
    const [oldest] = this.#acceptedEntries();
    if (oldest) this.#remove([oldest]);
    return oldest?.batch;
  }

  /** `batch` is settled. */
  forget(batch: KeptBatch<Note>): void {
    this.#remove([this.#entryOf(batch)]);
  }

  /** The oldest batches that were never written and so may still be given up, declarations among them; no gap between. */
  neverWritten(countMax: number): readonly KeptBatch<Note>[] {
    const entries: Entry<Note>[] = [];
    let count = 0;
    for (const entry of this.#unsent) {
      if (entry.wasWritten) continue;
      if (entry.batch.droppedUntil === undefined && count++ >= countMax) break;
      entries.push(entry);
    }
    return entries.map(({ batch }) => batch);
  }

  /** The declaration `by` takes the place of `batches`, whose first number it has, and has to be written. */
  replace(batches: readonly KeptBatch<Note>[], by: KeptBatch<Note>): void {
    const entries = batches.map((batch) => this.#entryOf(batch));
    const declaration = this.#journaled(by); // settles the others in the journal by itself
    this.#remove(entries, false);
    this.restore(declaration, false);
    inOrder(this.#unsent);
  }

  #journaled(batch: KeptBatch<Note>): KeptBatch<Note> {
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

  #entryOf(batch: KeptBatch<Note>): Entry<Note> {
    const entry = this.#entries.get(batch.sequence);
    if (entry?.batch !== batch) throw new Error(`batch ${batch.sequence} was already acknowledged`);
    return entry;
  }
}

/** Sorts in place; what is nearly in order already, as here, takes one pass. */
function inOrder<Note>(entries: Entry<Note>[]): Entry<Note>[] {
  return entries.sort(({ batch: a }, { batch: b }) => (a.sequence < b.sequence ? -1 : 1));
}
