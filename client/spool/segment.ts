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
import { diskProblem } from "#client/spool/disk-problem.ts";
import { encodeFrame, type Frame, readFrame } from "#client/spool/frames.ts";

/** A frame and where it lies in its file. */
export interface PlacedFrame {
  readonly frame: Frame;
  readonly offset: number;
}

/** Of all files of a spool. */
export const fileMode = 0o600;

/** One append-only file of frames. An append is in the hands of the kernel when it returns, and on disk after a sync. */
export class Segment {
  readonly path: string;
  #fd: number | undefined;
  size: number;
  /** Batches in it that are still kept. */
  liveCount = 0;
  isDirty = false;
  /** A frame was not written as a whole. */
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

  /** Reads what is whole in the file, and cuts off what is not: `cutBytes` of it. */
  static load(path: string): { segment: Segment; frames: readonly PlacedFrame[]; cutBytes: number } {
    chmodSync(path, fileMode); // it may be of a time or a place in which others could read it
    const bytes = readFileSync(path);
    const frames: PlacedFrame[] = [];
    let offset = 0;
    for (let next = readFrame(bytes, 0); next !== undefined; next = readFrame(bytes, offset)) {
      frames.push({ frame: next.frame, offset });
      offset = next.end;
    }
    const cutBytes = bytes.byteLength - offset;
    if (cutBytes > 0) truncateSync(path, offset);
    return { segment: new Segment(path, offset), frames, cutBytes };
  }

  /** Returns the frame's offset; throws in words when the disk does not take it. What of it was written before an error is cut off by the next append, or by loading. */
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
      throw new Error(`the spool's ${this.path} cannot be written: ${diskProblem(error)}`, { cause: error });
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
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return; // all of it is settled, and the file gone
      this.isDirty = true;
      throw error;
    }
  }

  /** Nothing more is appended for now; it can still be read. */
  close(): void {
    if (this.#fd !== undefined) closeSync(this.#fd);
    this.#fd = undefined;
  }

  remove(): void {
    this.close();
    rmSync(this.path, { force: true });
  }
}
