import assert from "node:assert/strict";
import { DeviceStream } from "#client/stream/device-stream.ts";
import type { DeviceStreamOptions } from "#client/stream/device-stream-options.ts";
import { encodeRecord } from "#client/stream/record.ts";
import type { TestPeer } from "#client/testing/test-peer.ts";

export const toBatch = (...messages: string[]) => messages.map((message) => encodeRecord({ message }));

export const names = Array.from({ length: 100 }, (_, index) => `batch-${index + 1}`);

export type TestDevice = ReturnType<typeof device>;

/** A device and the events it received. */
export function device(options: Partial<DeviceStreamOptions<string>>) {
  const acknowledged: string[] = [];
  const committed: string[] = [];
  const refused: string[] = [];
  const delayed: string[] = [];
  const dropped: string[] = [];
  const released: string[] = [];
  const reconnects: string[] = [];
  const stream = new DeviceStream<string>({
    deviceId: "host-1",
    backoff: { baseMs: 1, capMs: 10 },
    onAcknowledged: ({ note }) => acknowledged.push(note),
    onCommitted: ({ note }) => committed.push(note),
    onRefused: ({ note }, error) => refused.push(`${note}: ${error.message}`),
    onDelayed: ({ note }, error) => delayed.push(`${note}: ${error.message}`),
    onDropped: ({ note }) => dropped.push(note),
    onReleased: ({ note }) => released.push(note),
    onReconnect: ({ reason }) => reconnects.push(reason),
    ...options,
  });
  return {
    stream,
    acknowledged,
    committed,
    refused,
    delayed,
    dropped,
    released,
    reconnects,
    /** Sends a batch of one record for each. */
    async send(...messages: readonly string[]): Promise<void> {
      for (const message of messages) await stream.send(toBatch(message), message);
    },
    [Symbol.dispose]: () => stream.close(),
  };
}

/** Every batch that arrived twice must have arrived with the same bytes. */
export function assertSameBytes(peer: TestPeer): void {
  const first = new Map<bigint, Buffer>();
  for (const { sequence, request, dropped } of peer.seen) {
    if (dropped) continue;
    assert.deepEqual(request, first.get(sequence) ?? request);
    first.set(sequence, request);
  }
}

/** The sequences that arrived, in order, declarations as "first-last". */
export function toSequences(peer: TestPeer): readonly (number | string)[] {
  return peer.seen.map(({ sequence, dropped }) =>
    dropped ? `${sequence}-${dropped.lastSequence}` : Number(sequence),
  );
}
