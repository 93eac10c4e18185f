import { setTimeout as sleep } from "node:timers/promises";
import type { LineStart } from "#client/files/line-splitter.ts";
import type { Origin } from "#client/files/read-inputs.ts";
import type { FileReader, FileRecord } from "#client/follow/file-reader.ts";
import type { FollowedFile } from "#client/follow/followed-file.ts";
import type { Change, PositionJournal } from "#client/follow/position-journal.ts";
import { BatchBuilder } from "#client/stream/batch-builder.ts";
import type { DeviceStream } from "#client/stream/device-stream.ts";
import { DeviceStreamError } from "#client/stream/device-stream-error.ts";

/** A file being read, and its path. */
export interface Source {
  readonly path: string;
  /** The path in full. */
  readonly key: string;
  readonly log: FollowedFile;
  readonly reader: FileReader;
}

export interface FollowBatchesOptions {
  readonly stream: DeviceStream<Origin>;
  readonly journal: PositionJournal;
  readonly recordsMax: number | undefined;
  readonly stop: AbortSignal;
  readonly onProblem: (problem: string) => void;
}

const retryMs = 1_000;

/** Gathers the records of one file into batches and sends each with the position after it. */
export class FollowBatches {
  readonly #options: FollowBatchesOptions;
  readonly #builder: BatchBuilder;
  #source: Source | undefined;
  #records: Origin["records"] = [];
  #end: LineStart | undefined;
  #problem = "";

  constructor(options: FollowBatchesOptions) {
    this.#options = options;
    this.#builder = new BatchBuilder({ recordsMax: options.recordsMax });
  }

  /** Resolves when there is capacity for another. */
  async write({ record, firstLine, lastLine, end }: FileRecord, source: Source): Promise<void> {
    if (this.#source?.reader !== source.reader || !this.#builder.fits(record)) await this.cut();
    this.#source = source;
    this.#builder.add(record);
    this.#records.push({ firstLine, lastLine });
    this.#end = end;
    if (this.#builder.isFull) await this.cut();
  }

  /**
   * Sends the gathered records. While the disk refuses them, retries until the stop; the position then
   * stays as before.
   */
  async cut(): Promise<void> {
    if (!this.#source || !this.#end) return;
    const { path, key, log, reader } = this.#source;
    const end = this.#end;
    const records = this.#builder.take();
    const note = { file: path, records: this.#records };
    this.#records = [];
    this.#source = this.#end = undefined;
    const position = log.positionAt(end, reader);
    const { stream, journal, onProblem } = this.#options;
    const { sessionId, lastSequence } = stream;
    const sequence = lastSequence + 1n;
    const spool = () =>
      stream.send(records, note).catch((error: Error) => {
        // The batch has its number and is in the spool: sending it again would make another batch.
        if (error instanceof DeviceStreamError || stream.lastSequence < sequence) throw error;
        onProblem(`the spool cannot be synced: ${error.message}`);
      });
    await this.#retryWhileDiskFails(() =>
      journal.setWith({ sessionId, sequence }, key, { files: [position] }, spool),
    );
    log.position = position;
    reader.sent(end);
  }

  /** Stores a change of positions that belongs to no batch. */
  async remember(key: string, change: Change): Promise<void> {
    await this.#retryWhileDiskFails(async () => this.#options.journal.set(key, change));
  }

  async #retryWhileDiskFails(write: () => Promise<void>): Promise<void> {
    const { stop, onProblem } = this.#options;
    for (;;) {
      try {
        return await write();
      } catch (error) {
        if (error instanceof DeviceStreamError || stop.aborted) throw error;
        const { code, message, cause } = error as NodeJS.ErrnoException;
        if ((code ?? (cause as NodeJS.ErrnoException | undefined)?.code) === undefined) throw error;
        if (message !== this.#problem) onProblem(`the spool cannot be written, trying again: ${message}`);
        this.#problem = message;
        await sleep(retryMs, undefined, { signal: stop }).catch(() => {});
      }
    }
  }
}
