import type { DeviceStreamEvents } from "#client/stream/device-stream-options.ts";
import type { PendingBatches } from "#client/stream/pending-batches.ts";
import { encodeDroppedBatches } from "#client/stream/record.ts";
import type { SessionKey } from "#client/transports/transport.ts";

export interface DropOptions<Note> {
  readonly session: SessionKey;
  /** Whether more is pending than the limits allow. */
  readonly isOver: () => boolean;
  readonly pendingBatchesMax: number;
  readonly events: Pick<DeviceStreamEvents<Note>, "onDropped" | "onReleased">;
}

/**
 * Frees capacity. Accepted batches go first, because they are on disk at the server. Then it drops the
 * oldest batches that were never sent, an eighth of all at once, and replaces them with one declaration,
 * which also absorbs the declaration before it if that was not sent either. Sent batches stay: they may
 * be stored, and one number must not mean two batches. So only the batches in flight and one declaration
 * can exceed the limit.
 */
export function dropOldest<Note>(pending: PendingBatches<Note>, options: DropOptions<Note>): void {
  const { session, isOver, pendingBatchesMax, events } = options;
  while (isOver()) {
    const released = pending.releaseOldestAccepted();
    if (!released) break;
    if (released.droppedUntil === undefined) events.onReleased?.(released);
  }
  while (isOver()) {
    const given = pending.oldestUnwritten(Math.ceil(pendingBatchesMax / 8));
    const dropped = given.filter(({ droppedUntil }) => droppedUntil === undefined);
    const [first, last] = [given[0], given.at(-1)];
    if (dropped.length === 0 || !first || !last) return;
    const lastSequence = last.droppedUntil ?? last.sequence;
    const request = encodeDroppedBatches(
      { ...session, sequence: first.sequence },
      lastSequence,
      "spool full",
    );
    const { byteLength } = request;
    pending.replace(given, { ...first, recordCount: 0, request, byteLength, droppedUntil: lastSequence });
    for (const batch of dropped) events.onDropped?.(batch);
  }
}
