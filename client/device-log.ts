import { BatchBuilder, type BatchTarget } from "#client/stream/batch-builder.ts";
import type { DeviceStream } from "#client/stream/device-stream.ts";

interface Unsent<Note> {
  readonly recordCount: number;
  readonly note: Note;
}

/**
 * Gathers encoded records into batches and sends each when it is full, or when its first record has waited for
 * `intervalMs`. A batch carries the note of its first record, to which `addNote` adds those of the others.
 */
export class DeviceLog<Note = undefined> {
  readonly #stream: DeviceStream<Note>;
  readonly #builder: BatchBuilder;
  readonly #intervalMs: number | undefined;
  readonly #addNote: (first: Note, next: Note) => void;
  readonly #onFailed: () => void;
  /** Of batches that the stream did not take. */
  readonly #unsent: Unsent<Note>[] = [];
  #failure: { readonly error: unknown } | undefined;
  #firstNote: Note | undefined;
  #timer: NodeJS.Timeout | undefined;

  /** Without `intervalMs` the records alone decide where batches are cut, so the same records make the same bytes. */
  constructor(
    stream: DeviceStream<Note>,
    options: BatchTarget & {
      readonly intervalMs?: number | undefined;
      readonly addNote?: ((first: Note, next: Note) => void) | undefined;
      /** Called once, when a batch could not be sent, also one that nobody waits for. */
      readonly onFailed?: (() => void) | undefined;
    },
  ) {
    this.#stream = stream;
    this.#builder = new BatchBuilder(options);
    this.#intervalMs = options.intervalMs;
    this.#addNote = options.addNote ?? (() => undefined);
    this.#onFailed = options.onFailed ?? (() => undefined);
  }

  /** Records that the stream does not have, in order: those in no batch yet, and those that it did not take. */
  get unsent(): readonly Unsent<Note>[] {
    const recordCount = this.#builder.count;
    if (recordCount === 0) return this.#unsent;
    return [...this.#unsent, { recordCount, note: this.#firstNote as Note }];
  }

  /**
   * Takes a record from `encodeRecord`, at once; resolves when there is room for another. Throws RangeError for a
   * record that no batch can carry. Once a batch could not be sent, because the stream has failed or its spool cannot be
   * written, this and all later calls reject with that error: what comes behind it must not overtake it.
   */
  async write(record: Uint8Array, note: Note): Promise<void> {
    if (this.#failure) throw this.#failure.error;
    const room = this.#builder.fits(record) ? undefined : this.cut();
    if (this.#builder.count === 0) this.#begin(note);
    else this.#addNote(this.#firstNote as Note, note);
    this.#builder.add(record);
    if (room) await room;
    if (this.#builder.isFull) await this.cut();
  }

  /** Sends what is gathered as a batch, at once; resolves when there is room for another. */
  async cut(): Promise<void> {
    clearTimeout(this.#timer);
    if (this.#failure) throw this.#failure.error;
    const recordCount = this.#builder.count;
    if (recordCount === 0) return;
    const note = this.#firstNote as Note;
    try {
      await this.#stream.send(this.#builder.take(), note);
    } catch (error) {
      this.#unsent.push({ recordCount, note });
      if (this.#failure) throw error;
      this.#failure = { error };
      this.#onFailed();
      throw error;
    }
  }

  /** Sends what is gathered and resolves when everything has its verdict; see {@link DeviceStream.flush}. */
  async flush(deadlineMs?: number): Promise<void> {
    const room = this.cut();
    const flushed = this.#stream.flush(deadlineMs);
    await Promise.all([room, flushed]);
  }

  #begin(note: Note): void {
    this.#firstNote = note;
    if (this.#intervalMs === undefined) return;
    this.#timer = setTimeout(() => {
      this.cut().catch(() => {}); // told by onFailed and to every later call
    }, this.#intervalMs);
  }
}
