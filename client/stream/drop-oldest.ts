import type { DeviceStreamEvents } from "#client/stream/device-stream-options.ts";
import type { KeptBatches } from "#client/stream/kept-batches.ts";
import { encodeDrop } from "#client/stream/record.ts";
import type { SessionKey } from "#client/transports/transport.ts";

export interface DropOptions<Note> {
  readonly session: SessionKey;
  /** More is kept than there is room for. */
  readonly isOver: () => boolean;
  readonly keptBatchesMax: number;
  readonly events: Pick<DeviceStreamEvents<Note>, "onDropped" | "onReleased">;
}

/**
 * Makes room. What was accepted goes first, for it is on disk at the server. Then the oldest that were never sent are
 * given up, an eighth of all at once, and one declaration takes their place; it takes in the one before it, as long as
 * that was not sent either. What was sent stays: it may be stored, and a number must not mean two things. So besides
 * what may be under way, and one declaration more, nothing is over the bound.
 */
export function dropOldest<Note>(kept: KeptBatches<Note>, options: DropOptions<Note>): void {
  const { session, isOver, keptBatchesMax, events } = options;
  while (isOver()) {
    const released = kept.releaseOldestAccepted();
    if (!released) break;
    if (released.droppedUntil === undefined) events.onReleased?.(released);
  }
  while (isOver()) {
    const given = kept.neverWritten(Math.ceil(keptBatchesMax / 8));
    const dropped = given.filter(({ droppedUntil }) => droppedUntil === undefined);
    const [first, last] = [given[0], given.at(-1)];
    if (dropped.length === 0 || !first || !last) return;
    const lastSequence = last.droppedUntil ?? last.sequence;
    const request = encodeDrop({ ...session, sequence: first.sequence }, lastSequence, "spool full");
    const { byteLength } = request;
    kept.replace(given, { ...first, recordCount: 0, request, byteLength, droppedUntil: lastSequence });
    for (const batch of dropped) events.onDropped?.(batch);
  }
}
