import { closeSync, fdatasyncSync, openSync } from "node:fs";
import { open } from "node:fs/promises";
import { dirname } from "node:path";
import { type Frame, requestOffset } from "#client/spool/frames.ts";
import { Segment } from "#client/spool/segment.ts";
import type { Journal, KeptBatch } from "#client/stream/kept-batches.ts";
import type { Sendable, SessionKey } from "#client/transports/transport.ts";

/** A new file is begun when this one is as large. */
export const segmentBytesMax = 4 * 1024 * 1024;

interface Place {
  segment: Segment;
  offset: number;
  readonly frameBytes: number;
}

/** A batch whose bytes lie in the spool: read when they are wanted, and checked. */
class SpooledBatch implements Sendable {
  readonly sequence: bigint;
  readonly byteLength: number;
  readonly #place: Place;

  constructor(sequence: bigint, place: Place) {
    this.sequence = sequence;
    this.byteLength = place.frameBytes - requestOffset;
    this.#place = place;
  }

  get request(): Buffer {
    const { segment, offset, frameBytes } = this.#place;
    const frame = segment.read(offset, frameBytes);
    if (frame.kind === "batch" && frame.sequence === this.sequence) return frame.request;
    throw new Error(`${segment.path} has no batch ${this.sequence} at byte ${offset}`);
  }
}

/**
 * One session's part of a spool: files `RUN-NUMBER.spool`, of which the last is appended to. The first goes when all of its
 * batches are settled; when the files are twice as large as may be kept, what it still keeps is copied to the last, so
 * that one batch which nobody wants cannot hold on to everything behind it.
 */
export class SessionJournal implements Journal {
  readonly session: SessionKey;
  readonly #prefix: string;
  readonly #bytesMax: number;
  readonly #segments: Segment[] = [];
  readonly #places = new Map<bigint, Place>();
  #number: number;
  #written = 0n;

  /** `prefix`: the path of its files up to their number. */
  constructor(session: SessionKey, options: { prefix: string; nextNumber: number; bytesMax: number }) {
    this.session = session;
    this.#prefix = options.prefix;
    this.#number = options.nextNumber;
    this.#bytesMax = options.bytesMax;
  }

  get fileBytes(): number {
    return this.#segments.reduce((sum, { size }) => sum + size, 0);
  }

  /** A file from an earlier life, and the batches in it that are still kept. In their order. */
  adopt(segment: Segment): void {
    this.#segments.push(segment);
  }

  restore(segment: Segment, frame: Frame & { kind: "batch" }, offset: number): Sendable {
    return this.#place(frame.sequence, {
      segment,
      offset,
      frameBytes: requestOffset + frame.request.byteLength,
    });
  }

  append({ sequence, droppedUntil, recordCount, request }: Omit<KeptBatch<unknown>, "note">): Sendable {
    const frame = { kind: "batch", sequence, droppedUntil, recordCount, request } as const;
    const segment = this.#tail();
    const offset = segment.append(frame);
    if (droppedUntil !== undefined) this.#forget(sequence, droppedUntil);
    const batch = this.#place(sequence, { segment, offset, frameBytes: segment.size - offset });
    this.compact(2 * this.#bytesMax);
    return batch;
  }

  written(sequence: bigint): void {
    if (sequence <= this.#written) return;
    this.#written = sequence;
    this.#mark({ kind: "written", sequence });
  }

  settled(sequence: bigint): void {
    this.#mark({ kind: "settled", sequence });
    this.#forget(sequence, sequence);
    this.#removeFirst();
  }

  /** Makes the files no larger than `bytesMax` or what is kept, whichever is more. */
  compact(bytesMax: number): void {
    for (let left = this.#segments.length; left > 1 && this.fileBytes > bytesMax; left--) {
      const [first] = this.#segments;
      const moved = [...this.#places.values()].filter(({ segment }) => segment === first);
      for (const place of moved) {
        const frame = place.segment.read(place.offset, place.frameBytes);
        const segment = this.#tail();
        Object.assign(place, { segment, offset: segment.append(frame) });
        segment.liveCount++;
      }
      if (first) first.liveCount = 0;
      if (moved.length > 0) this.syncNow(); // or a loss of power could take both
      this.#removeFirst();
    }
  }

  /** Resolves when everything appended before is on disk, the names of new files included. */
  async sync(): Promise<void> {
    const dirty = this.#segments.filter(({ isDirty }) => isDirty);
    if (dirty.length === 0) return;
    await Promise.all(dirty.map((segment) => segment.sync()));
    if (process.platform === "win32") return; // where a folder cannot be synced
    await using folder = await open(dirname(this.#prefix), "r");
    await folder.sync();
  }

  /** As {@link sync}, but the process stands still meanwhile. */
  syncNow(): void {
    for (const segment of this.#segments.filter(({ isDirty }) => isDirty)) {
      const fd = openSync(segment.path, "r+");
      fdatasyncSync(fd);
      closeSync(fd);
      segment.isDirty = false;
    }
  }

  close(): void {
    for (const segment of this.#segments) segment.close();
  }

  /** Nothing of the session is kept any longer. */
  remove(): void {
    for (const segment of this.#segments.splice(0)) segment.remove();
  }

  #mark(frame: Frame): void {
    try {
      this.#tail().append(frame);
    } catch {
      // A full disk must not keep a device from sending. Without the mark a batch is sent once more, which is harmless.
    }
  }

  #place(sequence: bigint, place: Place): Sendable {
    this.#forget(sequence, sequence);
    this.#places.set(sequence, place);
    place.segment.liveCount++;
    return new SpooledBatch(sequence, place);
  }

  #forget(first: bigint, last: bigint): void {
    for (let sequence = first; sequence <= last; sequence++) {
      const place = this.#places.get(sequence);
      if (place) place.segment.liveCount--;
      this.#places.delete(sequence);
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
