import { limits } from "#batch/limits.ts";
import { whyNotFollowable } from "#client/files/decode-input.ts";
import { type Line, LineSplitter, type LineStart } from "#client/files/line-splitter.ts";
import { truncateLine } from "#client/files/read-inputs.ts";
import { type Fingerprint, fingerprint, isEqual, windowBytes } from "#client/follow/fingerprint.ts";
import type { FoundFile } from "#client/follow/found-files.ts";
import { LogFile, type Windows } from "#client/follow/log-file.ts";
import type { LineEncoder, ReadRecord } from "#client/lines/line-encoder.ts";
import type { SendReport } from "#client/send/send-report.ts";

/** One record of a batch. */
export interface FileRecord {
  readonly record: Uint8Array;
  readonly firstLine: number;
  readonly lastLine: number;
  /** The position after it. */
  readonly end: LineStart;
}

export interface ReaderOptions {
  /** For messages. */
  readonly path: string;
  readonly encoder: LineEncoder;
  readonly report: SendReport;
}

/** Minimum of bytes retained behind the sent position. */
const recentBytesMin = 1024 * 1024;
const nul = 0x00;
const utf8Mark = Buffer.from([0xef, 0xbb, 0xbf]);

/** The file has a format that cannot be followed. */
export class UnreadableError extends Error {
  override readonly name = "UnreadableError";
}

/** Reads one log as it grows: complete lines, joined to records, each with its position. */
export class FileReader implements AsyncDisposable {
  readonly file: LogFile;
  readonly #options: ReaderOptions;
  #splitter: LineSplitter;
  #offset: number;
  #head: Buffer;
  /**
   * The bytes before `#offset`: as many as the positions after the last batch need for their
   * fingerprints.
   */
  #recent: Buffer;
  /** Behind the last line, and behind the last record that is in a batch. */
  #lineEnd: LineStart;
  #sentEnd: LineStart;
  /** By the clock of the process: when something was last read. */
  changedAt = performance.now();

  private constructor(file: LogFile, { head, tail }: Windows, start: LineStart, options: ReaderOptions) {
    this.file = file;
    this.#options = options;
    this.#splitter = new LineSplitter(limits.messageBytesMax, start);
    this.#offset = start.offset;
    this.#head = head;
    this.#recent = tail;
    this.#lineEnd = this.#sentEnd = start;
  }

  /** Starts at `from`; undefined when the file has no such position. Throws as LogFile.open does. */
  static async open(
    found: FoundFile,
    from: Fingerprint & { readonly line: number },
    options: ReaderOptions,
  ): Promise<FileReader | undefined> {
    const file = await LogFile.open(found);
    const { offset, line: number } = from;
    const windows = await file.windows(offset);
    if (windows && isEqual(fingerprint(offset, windows), from)) {
      return new FileReader(file, windows, { offset, number }, options);
    }
    await file[Symbol.asyncDispose]();
    return undefined;
  }

  /** Behind the last line. */
  get end(): LineStart {
    return this.#lineEnd;
  }

  /** Bytes that are read and in no batch. */
  get unsentBytes(): number {
    return this.#offset - this.#sentEnd.offset;
  }

  /**
   * Records that are complete, and are followed by another line. Undefined: nothing new. "displaced": the file has not the
   * content any more that was read, it was truncated or written anew.
   */
  async read(): Promise<readonly FileRecord[] | "displaced" | undefined> {
    const chunk = await this.file.next(this.#offset);
    // Only the check after the read proves that the chunk continues the file.
    if (!this.file.isPacked && !(await this.#isPlaceAsBefore())) return "displaced";
    if (chunk.byteLength === 0) return undefined;
    this.changedAt = performance.now();
    const text = this.#offset === 0 ? this.#skipMark(chunk) : chunk;
    this.#head = Buffer.concat([this.#head, chunk.subarray(0, windowBytes - this.#head.byteLength)]);
    this.#recent = Buffer.concat([this.#recent, chunk]);
    this.#offset += chunk.byteLength;
    return this.#take(this.#splitter.push(text));
  }

  /** Ends the record that may still be continued. */
  endRecord(): readonly FileRecord[] {
    return this.#ended(this.#options.encoder.finish(), this.#lineEnd);
  }

  /**
   * Ends the incomplete line too; following data starts a new line. `isOver`: most likely nothing
   * follows.
   */
  endLine(isOver: boolean): readonly FileRecord[] {
    // A program that preallocates its file writes where the NULs are.
    const isReserved = !isOver && this.#recent.at(-1) === nul;
    if (this.#offset === this.#lineEnd.offset || isReserved) return this.endRecord();
    return [...this.#take(this.#splitter.end(), false), ...this.endRecord()];
  }

  /** The fingerprint at the end of a record. */
  fingerprintAt({ offset }: LineStart): Fingerprint {
    const end = this.#recent.byteLength - (this.#offset - offset);
    const length = Math.min(windowBytes, offset);
    const windows = { head: this.#head.subarray(0, length), tail: this.#recent.subarray(end - length, end) };
    return fingerprint(offset, windows);
  }

  /** Everything up to `end` is in a batch; by default nothing more than before. */
  sent(end = this.#sentEnd): void {
    this.#sentEnd = end;
    const needed = Math.min(this.unsentBytes, recentBytesMin) + windowBytes;
    this.#recent = this.#recent.subarray(Math.max(0, this.#recent.byteLength - needed));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#options.report.timedLines += this.#options.encoder.counts.timedLines;
    await this.file[Symbol.asyncDispose]();
  }

  async #isPlaceAsBefore(): Promise<boolean> {
    const windows = await this.file.windows(this.#offset);
    const length = Math.min(windowBytes, this.#offset);
    return (
      windows !== undefined &&
      windows.head.equals(this.#head.subarray(0, length)) &&
      windows.tail.equals(this.#recent.subarray(this.#recent.byteLength - length)) &&
      (await this.file.size()) >= this.#offset
    );
  }

  /** A byte order mark does not belong to the first line. */
  #skipMark(first: Buffer): Buffer {
    const reason = whyNotFollowable(first);
    if (reason !== undefined) throw new UnreadableError(reason);
    if (!first.subarray(0, 3).equals(utf8Mark)) return first;
    this.#lineEnd = this.#sentEnd = { offset: 3, number: 1 };
    this.#splitter = new LineSplitter(limits.messageBytesMax, this.#lineEnd);
    return first.subarray(3);
  }

  #take(lines: readonly Line[], isEnded = true): readonly FileRecord[] {
    const { path, encoder, report } = this.#options;
    const records: FileRecord[] = [];
    for (const line of lines) {
      report.linesRead++;
      const before = this.#lineEnd;
      this.#lineEnd = { offset: line.end, number: isEnded ? line.number + 1 : line.number };
      if (line.skippedNuls > 0) {
        report.note(`${path}:${line.number}: skipped ${line.skippedNuls} NUL bytes, a hole in the file`);
        if (line.byteLength === 0) continue;
      }
      records.push(...this.#ended(encoder.add(truncateLine(line)), before));
    }
    return records;
  }

  #ended(record: ReadRecord | undefined, end: LineStart): readonly FileRecord[] {
    if (record === undefined) return [];
    const { firstLine, lastLine } = record;
    return [{ record: this.#options.encoder.encode(record), firstLine, lastLine, end }];
  }
}
