import { closeSync, fsyncSync, openSync } from "node:fs";
import { open } from "node:fs/promises";
import { dirname } from "node:path";
import { type Frame, requestOffset } from "#client/spool/frames.ts";
import { Segment } from "#client/spool/segment.ts";
import type { Journal, PendingBatch } from "#client/stream/pending-batches.ts";
import type { Sendable, SessionKey } from "#client/transports/transport.ts";

/** Size at which a new file starts. */
export const segmentBytesMax = 4 * 1024 * 1024;

interface FrameLocation {
  segment: Segment;
  offset: number;
  readonly frameBytes: number;
}

/** A batch whose bytes are in the spool; they are read and verified on demand. */
class SpooledBatch implements Sendable {
  readonly sequence: bigint;
  readonly byteLength: number;
  readonly #location: FrameLocation;

  constructor(sequence: bigint, location: FrameLocation) {
    this.sequence = sequence;
    this.byteLength = location.frameBytes - requestOffset;
    this.#location = location;
  }

  get request(): Buffer {
    const { segment, offset, frameBytes } = this.#location;
    const frame = segment.read(offset, frameBytes);
    if (frame.kind === "batch" && frame.sequence === this.sequence) return frame.request;
    throw new Error(`${segment.path} has no batch ${this.sequence} at byte ${offset}`);
  }
}

/**
 * One session's part of a spool: files `RUN-NUMBER.spool`, of which the last is appended to. The first
 * file is removed when all of its batches are settled. When the files reach twice the allowed size, the
 * batches still in the first are copied to the last, so one unsettled batch cannot retain every file
 * after it.
 */
export class SessionJournal implements Journal {
  readonly session: SessionKey;
  readonly #prefix: string;
  readonly #bytesMax: number;
  readonly #segments: Segment[] = [];
  readonly #locations = new Map<bigint, FrameLocation>();
  #number: number;
  #writtenThrough = 0n;

  /** `prefix`: the path of the session's files up to their number. */
  constructor(session: SessionKey, options: { prefix: string; nextNumber: number; bytesMax: number }) {
    this.session = session;
    this.#prefix = options.prefix;
    this.#number = options.nextNumber;
    this.#bytesMax = options.bytesMax;
  }

  /** Batches up to this one may have been received. */
  get writtenThrough(): bigint {
    return this.#writtenThrough;
  }

  get fileBytes(): number {
    return this.#segments.reduce((sum, { size }) => sum + size, 0);
  }

  /** Something appended is not on disk yet. */
  get isDirty(): boolean {
    return this.#segments.some(({ isDirty }) => isDirty);
  }

  /** Adds a file of an earlier process, in order. */
  adopt(segment: Segment): void {
    this.#segments.push(segment);
  }

  restoreWritten(sequence: bigint): void {
    if (sequence > this.#writtenThrough) this.#writtenThrough = sequence;
  }

  restore(segment: Segment, frame: Frame & { kind: "batch" }, offset: number): Sendable {
    return this.#location(frame.sequence, {
      segment,
      offset,
      frameBytes: requestOffset + frame.request.byteLength,
    });
  }

  append({ sequence, droppedUntil, recordCount, request }: Omit<PendingBatch<unknown>, "note">): Sendable {
    const frame = { kind: "batch", sequence, droppedUntil, recordCount, request } as const;
    const segment = this.#tail();
    const offset = segment.append(frame);
    if (droppedUntil !== undefined) this.#forget(sequence, droppedUntil);
    const batch = this.#location(sequence, { segment, offset, frameBytes: segment.size - offset });
    this.compact(2 * this.#bytesMax);
    return batch;
  }

  written(sequence: bigint): void {
    if (sequence <= this.#writtenThrough) return;
    if (this.#mark({ kind: "written", sequence })) this.#writtenThrough = sequence;
  }

  settled(sequence: bigint): void {
    this.#mark({ kind: "settled", sequence });
    this.#forget(sequence, sequence);
    this.#removeFirst();
  }

  /** Shrinks the files to `bytesMax`, or to the size of the unsettled batches if that is more. */
  compact(bytesMax: number): void {
    for (let left = this.#segments.length; left > 1 && this.fileBytes > bytesMax; left--) {
      const [first] = this.#segments;
      const moved = [...this.#locations.values()].filter(({ segment }) => segment === first);
      for (const location of moved) {
        const frame = location.segment.read(location.offset, location.frameBytes);
        const segment = this.#tail();
        Object.assign(location, { segment, offset: segment.append(frame) });
        segment.liveCount++;
      }
      if (first) first.liveCount = 0;
      if (moved.length > 0) {
        // The only mark may be in the first file.
        if (this.#writtenThrough > 0n)
          this.#tail().append({ kind: "written", sequence: this.#writtenThrough });
        this.syncNow(); // a power loss could otherwise lose both copies
      }
      this.#removeFirst();
    }
  }

  /** Resolves when everything appended before is on disk, including the names of new files. */
  async sync(): Promise<void> {
    const dirty = this.#segments.filter(({ isDirty }) => isDirty);
    if (dirty.length === 0) return;
    await Promise.all(dirty.map((segment) => segment.sync()));
    if (!canSyncFolder) return;
    await using folder = await open(dirname(this.#prefix), "r");
    await folder.sync();
  }

  /** As {@link sync}, but blocks the process. */
  syncNow(): void {
    const dirty = this.#segments.filter(({ isDirty }) => isDirty);
    for (const segment of dirty) {
      syncPath(segment.path, "r+");
      segment.isDirty = false;
    }
    if (dirty.length > 0 && canSyncFolder) syncPath(dirname(this.#prefix), "r");
  }

  close(): void {
    for (const segment of this.#segments) segment.close();
  }

  /** Removes all files of the session. */
  remove(): void {
    for (const segment of this.#segments.splice(0)) segment.remove();
  }

  /** Whether the disk took the mark. */
  #mark(frame: Frame): boolean {
    try {
      this.#tail().append(frame);
      return true;
    } catch {
      // A full disk must not stop a device from sending. Without the mark a batch is resent once, which
      // is harmless; the next batch that is written tries again to mark all before it.
      return false;
    }
  }

  #location(sequence: bigint, location: FrameLocation): Sendable {
    this.#forget(sequence, sequence);
    this.#locations.set(sequence, location);
    location.segment.liveCount++;
    return new SpooledBatch(sequence, location);
  }

  #forget(first: bigint, last: bigint): void {
    for (let sequence = first; sequence <= last; sequence++) {
      const location = this.#locations.get(sequence);
      if (location) location.segment.liveCount--;
      this.#locations.delete(sequence);
    }
  }

  #tail(): Segment {
    const last = this.#segments.at(-1);
    if (last && last.size < segmentBytesMax) return last;
    const path = `${this.#prefix}${String(this.#number).padStart(8, "0")}.spool`;
    const segment = Segment.create(path, { kind: "session", ...this.session });
    last?.close();
    this.#number++;
    this.#segments.push(segment);
    return segment;
  }

  #removeFirst(): void {
    while (this.#segments.length > 1 && this.#segments[0]?.liveCount === 0) this.#segments.shift()?.remove();
  }
}

const canSyncFolder = process.platform !== "win32";

function syncPath(path: string, flags: "r" | "r+"): void {
  const fd = openSync(path, flags);
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}
