import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { dropOldest } from "#client/stream/drop-oldest.ts";
import { PendingBatches } from "#client/stream/pending-batches.ts";
import { assertSameBytes, device, names, toSequences } from "#client/testing/test-device.ts";
import { TestPeer } from "#client/testing/test-peer.ts";
import { waitFor } from "#test/support/wait-for.ts";

const bounds = { onFull: "drop-oldest", pendingBatchesMax: 16, inFlightBatchesMax: 4 } as const;

describe("a device that drops the oldest batches when it is full", () => {
  test("never waits, declares the dropped batches, and accounts for every number", async () => {
    const peer = await new TestPeer().start();
    peer.kill();
    using sender = device({ ...bounds, address: peer.address });
    for (const name of names) {
      await sender.send(name);
      assert.ok(sender.stream.unacknowledged.length <= bounds.pendingBatchesMax);
    }
    await waitFor("attempts", () => sender.reconnects.length > 3);
    using _ = await peer.start();
    await sender.stream.flush();
    assert.deepEqual([...sender.acknowledged, ...sender.dropped].toSorted(), names.toSorted());
    assert.notEqual(sender.dropped.length, 0);
    assert.ok(sender.acknowledged.includes("batch-100"), "the newest is kept");
    const numbers = new Set<number>();
    for (const { sequence, dropped } of peer.seen) {
      if (dropped) assert.equal(dropped.reason, "spool full");
      for (let number = sequence; number <= (dropped?.lastSequence ?? sequence); number++) {
        numbers.add(Number(number));
      }
    }
    assert.equal(numbers.size, names.length);
  });

  test("never declares a batch as dropped that may have arrived", async () => {
    using peer = await new TestPeer().start();
    peer.answer = () => "silence";
    using sender = device({ ...bounds, address: peer.address });
    await sender.send(...names.slice(0, 4));
    await waitFor("four batches", () => peer.seen.length === 4);
    await sender.send(...names.slice(4, 50));
    assert.ok(names.slice(0, 4).every((name) => !sender.dropped.includes(name)));
    assert.ok(sender.stream.unacknowledged.length <= bounds.pendingBatchesMax + 1);
    assert.deepEqual(toSequences(peer), [1, 2, 3, 4]);
    peer.answer = () => ({});
    peer.endStreams();
    await sender.stream.flush();
    assert.match(String(toSequences(peer)[8]), /^5-\d+$/);
    assertSameBytes(peer);
  });

  test("covers no batch in flight with a declaration, though a refused one before it is still to be declared", () => {
    const dropped: bigint[] = [];
    const pending = new PendingBatches<undefined>();
    const session = { deviceId: "host-1", sessionId: "s-1" };
    const request = Buffer.from("batch");
    const fields = { recordCount: 1, note: undefined, request, byteLength: request.byteLength };
    for (let sequence = 1n; sequence <= 12n; sequence++) pending.add({ ...fields, sequence });
    for (let written = 0; written < 3; written++) pending.written();
    const [first] = pending.all;
    assert.ok(first);
    pending.replace([first], { ...first, droppedUntil: 1n }); // refused: 1, while 2 and 3 are in flight
    dropOldest(pending, {
      session,
      isOver: () => pending.count > 8,
      pendingBatchesMax: 16,
      events: { onDropped: ({ sequence }) => dropped.push(sequence) },
    });
    assert.deepEqual(
      pending.all.map(({ sequence, droppedUntil }) => [sequence, droppedUntil]),
      [
        [1n, 1n],
        [2n, undefined],
        [3n, undefined],
        [4n, 9n],
        ...[10n, 11n, 12n].map((sequence) => [sequence, undefined]),
      ],
    );
    assert.deepEqual(dropped, [4n, 5n, 6n, 7n, 8n, 9n]);
  });

  test("keeps the limit in bytes", async () => {
    const peer = await new TestPeer().start();
    peer.kill();
    using sender = device({
      ...bounds,
      pendingBatchesMax: 1_000,
      pendingBytesMax: 100_000,
      address: peer.address,
    });
    for (let turn = 0; turn < 50; turn++) await sender.send(`${turn}`.padEnd(10_000, "x"));
    assert.ok(sender.dropped.length >= 40);
  });

  test("first releases accepted batches that only wait to be committed", async () => {
    using peer = await new TestPeer().start();
    peer.progress = () => ({ committedThrough: 0n, epoch: 7n });
    using sender = device({ ...bounds, address: peer.address, keepUntil: "committed" });
    await sender.send(...names.slice(0, 16));
    await waitFor("16 acks", () => sender.acknowledged.length === 16);
    await sender.send("batch-17");
    assert.deepEqual(sender.released, ["batch-1"]);
    assert.deepEqual(sender.dropped, []);
  });

  test("stays within its limits while the server acknowledges nothing but errors", async () => {
    using peer = await new TestPeer().start();
    peer.answer = () => "cut";
    using sender = device({ ...bounds, address: peer.address });
    for (const name of names) {
      await sender.send(name);
      await new Promise(setImmediate);
      assert.ok(
        sender.stream.unacknowledged.length <= bounds.pendingBatchesMax + bounds.inFlightBatchesMax + 1,
      );
    }
    peer.answer = () => ({});
    await sender.stream.flush();
    assert.deepEqual([...sender.acknowledged, ...sender.dropped].toSorted(), names.toSorted());
    assertSameBytes(peer);
  });
});
