import { BatchBuilder, type BatchTarget } from "#client/stream/batch-builder.ts";
import type { DeviceStream } from "#client/stream/device-stream.ts";

interface Unsent<Note> {
  readonly recordCount: number;
  readonly note: Note;
}

/**
 * Gathers encoded records into batches and sends a batch when it is full or when its first record is
 * `intervalMs` old. A batch carries the note of its first record; `addNote` merges the notes of the
 * others into it.
 */
export class DeviceLog<Note = undefined> {
  readonly #stream: DeviceStream<Note>;
  readonly #builder: BatchBuilder;
  readonly #intervalMs: number | undefined;
  readonly #addNote: (first: Note, next: Note) => void;
  readonly #onFailed: () => void;
  /** Batches that the stream did not accept. */
  readonly #unsent: Unsent<Note>[] = [];
  #failure: { readonly error: unknown } | undefined;
  #firstNote: Note | undefined;
  #timer: NodeJS.Timeout | undefined;

  /**
   * Without `intervalMs` only the records decide where batches are cut, so the same records make the same
   * bytes.
   */
  constructor(
    stream: DeviceStream<Note>,
    options: BatchTarget & {
      readonly intervalMs?: number | undefined;
      readonly addNote?: ((first: Note, next: Note) => void) | undefined;
      /** Called once when a batch could not be sent, even if no caller awaits it. */
      readonly onFailed?: (() => void) | undefined;
    },
  ) {
    this.#stream = stream;
    this.#builder = new BatchBuilder(options);
    this.#intervalMs = options.intervalMs;
    this.#addNote = options.addNote ?? (() => undefined);
    this.#onFailed = options.onFailed ?? (() => undefined);
  }

  /**
   * Records that the stream does not have, in order: those in no batch yet, then those in batches that it
   * did not accept.
   */
  get unsent(): readonly Unsent<Note>[] {
    const recordCount = this.#builder.count;
    if (recordCount === 0) return this.#unsent;
    return [...this.#unsent, { recordCount, note: this.#firstNote as Note }];
  }

  /**
   * Adds a record from `encodeRecord` synchronously; resolves when the stream has capacity for another.
   * Throws RangeError for a record that no batch can carry. After a batch could not be sent, because the
   * stream failed or its spool cannot be written, this and all later calls reject with that error: later
   * records must not overtake the batch.
   */
  async write(record: Uint8Array, note: Note): Promise<void> {
    if (this.#failure) throw this.#failure.error;
    const sent = this.#builder.fits(record) ? undefined : this.cut();
    if (this.#builder.count === 0) this.#startBatch(note);
    else this.#addNote(this.#firstNote as Note, note);
    this.#builder.add(record);
    if (sent) await sent;
    if (this.#builder.isFull) await this.cut();
  }

  /** Sends the gathered records as a batch; resolves when the stream has capacity for another. */
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

  /** Sends the gathered records and resolves when every batch is settled; see {@link DeviceStream.flush}. */
  async flush(deadlineMs?: number): Promise<void> {
    const sent = this.cut();
    const flushed = this.#stream.flush(deadlineMs);
    await Promise.all([sent, flushed]);
  }

  #startBatch(note: Note): void {
    this.#firstNote = note;
    if (this.#intervalMs === undefined) return;
    this.#timer = setTimeout(() => {
      this.cut().catch(() => {}); // reported by onFailed and by every later call
    }, this.#intervalMs);
  }
}
