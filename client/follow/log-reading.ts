import { type FileReader, type FileRecord, UnreadableError } from "#client/follow/file-reader.ts";
import type { FileSearch } from "#client/follow/file-search.ts";
import type { FollowBatches } from "#client/follow/follow-batches.ts";
import type { FollowedFile } from "#client/follow/followed-file.ts";
import { MovedError } from "#client/follow/log-file.ts";
import { LineEncoder } from "#client/lines/line-encoder.ts";
import type { SendOptions } from "#client/send/send.ts";
import type { SendReport } from "#client/send/send-report.ts";

/** How long a record waits for a continuation line. */
const continuationMs = 500;
/** How long a line waits for its end, and a rotated file for late writes of its program. */
const endMs = 10_000;
/** Chunks of one file per turn. */
const chunksMax = 16;
/** Unsent bytes at which even an incomplete record is sent. */
const unsentBytesMax = 4 * 1024 * 1024;

export interface LogReadingOptions {
  /** As given on the command line; attribute `file` of the records. */
  readonly path: string;
  /** The absolute path, the key of its positions. */
  readonly key: string;
  readonly search: FileSearch;
  readonly batches: FollowBatches;
  readonly report: SendReport;
  readonly onProblem: (problem: string) => void;
  readonly reading: Pick<SendOptions, "logger" | "severity" | "multiline" | "timeFormat" | "timeZone">;
}

/** Reads the logs of one path and sends their records. */
export class LogReading {
  readonly #options: LogReadingOptions;

  constructor(options: LogReadingOptions) {
    this.#options = options;
  }

  /** Opens the log if it has, or may get, something to read. */
  async open(log: FollowedFile): Promise<void> {
    const { path, report, reading, search } = this.#options;
    if (log.reader || !log.found || !(log.isLive || log.hasMore)) return;
    const { timeFormat: format, timeZone: zone, ...rest } = reading;
    const encoder = new LineEncoder({ file: path, ...rest, format, zone, isLive: true });
    try {
      if (await log.open({ path, encoder, report })) return;
      log.isDisplaced = true;
      log.verified = undefined;
    } catch (error) {
      if (!(error instanceof MovedError)) return this.#fail(error);
    }
    search.wanted();
  }

  /** Sends new data; true when more is left than one turn reads. */
  async read(log: FollowedFile): Promise<boolean> {
    const { reader } = log;
    if (!reader) return false;
    try {
      return await this.#read(log, reader);
    } catch (error) {
      if (!(error instanceof UnreadableError)) throw error;
      log.problem = error.message;
      this.#options.onProblem(error.message);
      await log.close();
      return false;
    } finally {
      await this.#options.batches.cut();
    }
  }

  /** Sends the current record without waiting for a continuation; with `isOver` also an incomplete line. */
  async flush(log: FollowedFile, isOver: boolean): Promise<void> {
    if (!log.reader) return;
    await this.#write(log, isOver ? log.reader.endLine(true) : log.reader.endRecord());
    await this.#options.batches.cut();
  }

  async #read(log: FollowedFile, reader: FileReader): Promise<boolean> {
    const { batches, search } = this.#options;
    for (let chunks = 0; chunks < chunksMax; chunks++) {
      const records = await this.#next(reader);
      if (records === "displaced") {
        log.isDisplaced = true;
        log.verified = undefined;
        await this.#write(log, reader.endRecord());
        search.wanted();
        return false;
      }
      if (records === undefined) {
        await this.#rest(log, reader);
        return false;
      }
      await this.#write(log, records);
      if (reader.unsentBytes > unsentBytesMax) {
        await this.#write(log, reader.endRecord());
        await batches.cut();
        reader.sent();
      }
    }
    return true;
  }

  /** Returns what precedes the damage of a compressed file. */
  async #next(reader: FileReader): Promise<readonly FileRecord[] | "displaced" | undefined> {
    try {
      return await reader.read();
    } catch (error) {
      if (!reader.file.isPacked || error instanceof UnreadableError) throw error;
      this.#options.onProblem(
        `a compressed file is damaged behind byte ${reader.end.offset} of what is in it: ${(error as Error).message}`,
      );
      return undefined;
    }
  }

  /** Handles a log without new data. */
  async #rest(log: FollowedFile, reader: FileReader): Promise<void> {
    const { isPacked } = reader.file;
    const quietMs = performance.now() - reader.changedAt;
    if (quietMs >= continuationMs) await this.#write(log, reader.endRecord());
    if (!isPacked && quietMs < endMs) return;
    await this.#write(log, reader.endLine(!log.isLive));
    await this.#options.batches.cut();
    if (log.isLive && !isPacked) return;
    log.isDrained = log.found === undefined;
    const position = { ...log.positionAt(reader.end, reader), isDone: isPacked || undefined };
    if (!log.isDrained) await this.#options.batches.remember(this.#options.key, { files: [position] });
    log.position = position;
    await log.close();
    if (log.isDrained) this.#options.search.wanted();
  }

  async #write(log: FollowedFile, records: readonly FileRecord[]): Promise<void> {
    const { batches, path, key } = this.#options;
    if (!log.reader) return;
    for (const record of records) await batches.write(record, { path, key, log, reader: log.reader });
  }

  #fail(error: unknown): void {
    if ((error as NodeJS.ErrnoException).syscall === undefined) throw error;
    this.#options.onProblem((error as Error).message);
  }
}
