import { BatchBuilder, type BatchTarget } from "#client/stream/batch-builder.ts";
import type { DeviceStream } from "#client/stream/device-stream.ts";

/**
 * Gathers encoded records into batches and sends each when it is full, or when its first record has waited for
 * `intervalMs`. A batch carries the note of its first record, to which `addNote` adds those of the others.
 */
export class DeviceLog<Note = undefined> {
  readonly #stream: DeviceStream<Note>;
  readonly #builder: BatchBuilder;
  readonly #intervalMs: number | undefined;
  readonly #addNote: (first: Note, next: Note) => void;
  #firstNote: Note | undefined;
  #timer: NodeJS.Timeout | undefined;

  /** Without `intervalMs` the records alone decide where batches are cut, so the same records make the same bytes. */
  constructor(
    stream: DeviceStream<Note>,
    options: BatchTarget & {
      readonly intervalMs?: number | undefined;
      readonly addNote?: ((first: Note, next: Note) => void) | undefined;
    },
  ) {
    this.#stream = stream;
    this.#builder = new BatchBuilder(options);
    this.#intervalMs = options.intervalMs;
    this.#addNote = options.addNote ?? (() => undefined);
  }

  /** Records that are in no batch yet. */
  get gathered(): { readonly recordCount: number; readonly note: Note } | undefined {
    const recordCount = this.#builder.count;
    return recordCount === 0 ? undefined : { recordCount, note: this.#firstNote as Note };
  }

  /**
   * Takes a record from `encodeRecord`, at once; resolves when there is room for another. Throws RangeError for a
   * record that no batch can carry, and rejects with DeviceStreamError once the stream has failed.
   */
  async write(record: Uint8Array, note: Note): Promise<void> {
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
    if (this.#builder.count === 0) return;
    await this.#stream.send(this.#builder.take(), this.#firstNote as Note);
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
      this.cut().catch(() => {}); // a failed stream says so by onFailed and to every later call
    }, this.#intervalMs);
  }
}
