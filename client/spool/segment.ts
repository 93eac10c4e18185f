import {
  chmodSync,
  closeSync,
  ftruncateSync,
  openSync,
  readFileSync,
  readSync,
  rmSync,
  truncateSync,
  writeSync,
} from "node:fs";
import { open } from "node:fs/promises";
import { basename } from "node:path";
import { describeDiskError } from "#client/spool/describe-disk-error.ts";
import { encodeFrame, type Frame, readFrame } from "#client/spool/frames.ts";

/** A frame and its offset in the file. */
export interface LocatedFrame {
  readonly frame: Frame;
  readonly offset: number;
}

/** The mode of all files of a spool. */
export const fileMode = 0o600;

/** One append-only file of frames. A returned append is in the kernel, and on disk after a sync. */
export class Segment {
  readonly path: string;
  #fd: number | undefined;
  size: number;
  /** Batches in it that are still kept. */
  liveCount = 0;
  isDirty = false;
  /** A frame was written only partly. */
  #isTorn = false;

  private constructor(path: string, size: number) {
    this.path = path;
    this.size = size;
  }

  static create(path: string, first: Frame): Segment {
    const segment = new Segment(path, 0);
    segment.#fd = openSync(path, "ax+", fileMode);
    segment.append(first);
    return segment;
  }

  /**
   * Reads the complete frames of the file. The `tornBytes` behind them stay until {@link cutTail}, for
   * the file may be none of a spool.
   */
  static load(path: string): { segment: Segment; frames: readonly LocatedFrame[]; tornBytes: number } {
    chmodSync(path, fileMode); // an older file may be readable by others
    const bytes = readFileSync(path);
    const frames: LocatedFrame[] = [];
    let offset = 0;
    for (let next = readFrame(bytes, 0); next !== undefined; next = readFrame(bytes, offset)) {
      frames.push({ frame: next.frame, offset });
      offset = next.end;
    }
    return { segment: new Segment(path, offset), frames, tornBytes: bytes.byteLength - offset };
  }

  /** Removes what is behind the complete frames of a loaded file. */
  cutTail(): void {
    truncateSync(this.path, this.size);
  }

  /**
   * Returns the frame's offset; throws a readable error when the disk refuses. The next append, or
   * loading, cuts off a partly written frame.
   */
  append(frame: Frame): number {
    const bytes = encodeFrame(frame);
    const offset = this.size;
    try {
      this.#fd ??= openSync(this.path, "a+", fileMode);
      if (this.#isTorn) ftruncateSync(this.#fd, offset);
      this.#isTorn = true;
      for (let written = 0; written < bytes.byteLength; ) {
        written += writeSync(this.#fd, bytes, written, bytes.byteLength - written);
      }
    } catch (error) {
      throw new Error(`the spool's ${this.path} cannot be written: ${describeDiskError(error)}`, {
        cause: error,
      });
    }
    this.#isTorn = false;
    this.size += bytes.byteLength;
    this.isDirty = true;
    return offset;
  }

  /** Throws when the disk gives back something else than was written. */
  read(offset: number, frameBytes: number): Frame {
    const bytes = Buffer.alloc(frameBytes);
    const fd = this.#fd ?? openSync(this.path, "r");
    try {
      readSync(fd, bytes, 0, frameBytes, offset);
    } finally {
      if (fd !== this.#fd) closeSync(fd);
    }
    const read = readFrame(bytes, 0);
    if (!read) throw new Error(`${basename(this.path)} is damaged at byte ${offset}`);
    return read.frame;
  }

  /** Resolves when everything appended before is on disk. */
  async sync(): Promise<void> {
    this.isDirty = false;
    try {
      await using file = await open(this.path, "r+");
      await file.datasync();
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return; // every batch was settled and the file removed
      this.isDirty = true;
      throw error;
    }
  }

  /** Stops appending; reading still works. */
  close(): void {
    if (this.#fd !== undefined) closeSync(this.#fd);
    this.#fd = undefined;
  }

  remove(): void {
    this.close();
    rmSync(this.path, { force: true });
  }
}
