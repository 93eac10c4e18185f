import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { assertSameBytes, device, toSequences } from "#client/testing/test-device.ts";
import { TestPeer } from "#client/testing/test-peer.ts";
import { waitFor } from "#test/support/wait-for.ts";

const untilCommitted = { keepUntil: "committed", ackTimeoutMs: 2_000 } as const;

describe("a device that keeps batches until they are committed", () => {
  test("settles exactly the batches that the server reports as committed", async () => {
    using peer = await new TestPeer().start();
    peer.progress = () => ({ committedThrough: 0n, epoch: 7n });
    using sender = device({ ...untilCommitted, address: peer.address });
    await sender.send("1", "2", "3");
    await waitFor("three acks", () => sender.acknowledged.length === 3);
    assert.equal(sender.stream.unacknowledged.length, 3);
    peer.tell({ committedThrough: 2n, epoch: 7n });
    await waitFor("two commits", () => sender.committed.length === 2);
    assert.deepEqual(
      sender.stream.unacknowledged.map(({ note }) => note),
      ["3"],
    );
    peer.tell({ committedThrough: 3n, epoch: 7n });
    await sender.stream.flush();
    assert.deepEqual(sender.committed, ["1", "2", "3"]);
    assert.deepEqual(toSequences(peer), [1, 2, 3]);
  });

  test("resends with the same bytes exactly the batches that another epoch may have lost", async () => {
    using peer = await new TestPeer().start();
    peer.progress = (stream) => ({ committedThrough: 1n, epoch: stream < 2 ? 7n : 8n });
    using sender = device({ ...untilCommitted, address: peer.address });
    await sender.send("1", "2", "3");
    await waitFor("three acks", () => sender.acknowledged.length === 3);
    peer.endStreams(); // the same epoch again: nothing is lost
    await waitFor("another stream", () => peer.streams === 2);
    await sender.send("4");
    await waitFor("the fourth ack", () => sender.acknowledged.length === 4);
    assert.deepEqual(toSequences(peer), [1, 2, 3, 4]);
    peer.endStreams();
    await waitFor("all that is not committed again", () => peer.seen.length === 7);
    assert.deepEqual(toSequences(peer).slice(4), [2, 3, 4]);
    assertSameBytes(peer);
    peer.tell({ committedThrough: 4n, epoch: 8n });
    await sender.stream.flush();
    assert.deepEqual(sender.committed, ["1", "2", "3", "4"]);
    assert.deepEqual(sender.reconnects, []); // the end of an idle stream is no event
  });

  test("rejects a stream that changes its epoch", async () => {
    using peer = await new TestPeer().start();
    peer.progress = () => ({ committedThrough: 0n, epoch: 7n });
    using sender = device({ ...untilCommitted, address: peer.address });
    await sender.send("1");
    await waitFor("an ack", () => sender.acknowledged.length === 1);
    peer.progress = () => ({ committedThrough: 1n, epoch: 9n });
    peer.tell({ committedThrough: 1n, epoch: 9n });
    await waitFor("another stream", () => peer.streams === 2);
    await sender.stream.flush();
    assert.deepEqual(sender.committed, ["1"]);
  });

  test("settles no batch that it never wrote, whatever the server reports", async () => {
    using peer = await new TestPeer().start();
    peer.progress = () => ({ committedThrough: 1_000n, epoch: 7n });
    using sender = device({ ...untilCommitted, address: peer.address, inFlightBatchesMax: 1 });
    await sender.send("1", "2", "3", "4", "5");
    await sender.stream.flush();
    assert.deepEqual(toSequences(peer), [1, 2, 3, 4, 5]);
    assert.deepEqual(sender.committed, ["1", "2", "3", "4", "5"]);
  });

  test("polls when no progress arrives, and resends the oldest when polling brings none", async () => {
    using peer = await new TestPeer().start();
    peer.progress = () => ({ committedThrough: 0n, epoch: 7n });
    using sender = device({ ...untilCommitted, address: peer.address, commitTimeoutMs: 20 });
    await sender.send("1", "2", "3");
    await waitFor("the first batches again", () => peer.seen.length >= 6);
    assert.deepEqual(toSequences(peer).slice(0, 4), [1, 2, 3, 1]);
    assert.notEqual(peer.sessionCalls, 0);
    assertSameBytes(peer);
    // A gap in the middle of the session does not retain the stored batches after it.
    peer.session = () => ({
      committedRanges: [
        { first: 1n, last: 1n },
        { first: 3n, last: 3n },
      ],
      committedThrough: 1n,
    });
    await waitFor("two commits", () => sender.committed.length === 2);
    assert.deepEqual(sender.committed.toSorted(), ["1", "3"]);
    peer.session = () => ({ committedRanges: [{ first: 1n, last: 3n }], committedThrough: 3n });
    await sender.stream.flush();
  });

  test("replaces a refused batch by a declaration, and waits for it", async () => {
    using peer = await new TestPeer().start();
    peer.progress = () => ({ committedThrough: 0n, epoch: 7n });
    peer.answer = ({ sequence, dropped }) =>
      sequence === 2n && !dropped ? { error: { code: 3, field: "batch", message: "no good" } } : {};
    using sender = device({ ...untilCommitted, address: peer.address });
    await sender.send("1", "2", "3");
    await waitFor("the declaration", () => toSequences(peer).at(-1) === "2-2");
    peer.tell({ committedThrough: 3n, droppedCount: 1n, epoch: 7n });
    await sender.stream.flush();
    assert.deepEqual(sender.refused, ["2: no good"]);
    assert.deepEqual(sender.committed, ["1", "3"]);
  });

  test("makes the caller wait at the limit of uncommitted batches", async () => {
    using peer = await new TestPeer().start();
    peer.progress = () => ({ committedThrough: 0n, epoch: 7n });
    using sender = device({ ...untilCommitted, address: peer.address, pendingBatchesMax: 2 });
    await sender.send("1");
    const second = sender.send("2");
    await waitFor("two acks", () => sender.acknowledged.length === 2);
    assert.equal(await Promise.race([second, Promise.resolve("waits")]), "waits");
    peer.tell({ committedThrough: 1n, epoch: 7n });
    await second;
  });
});
