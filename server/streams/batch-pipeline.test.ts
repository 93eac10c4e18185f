import assert from "node:assert/strict";
import { test } from "node:test";
import type { Outcome } from "../outcome.ts";
import { BatchPipeline, streamLimits } from "./batch-pipeline.ts";

/** A pipeline in which the test decides when batches are answered and acks are sent. */
function startPipeline(room = { bytes: 0, bytesMax: 64 << 20 }) {
  const accepting: ((outcome: Outcome) => void)[] = [];
  const delivered: Outcome[] = [];
  const unsent: (() => void)[] = [];
  let roomCalls = 0;
  const pipeline = new BatchPipeline({
    sendAck(outcome, sent) {
      delivered.push(outcome);
      unsent.push(sent);
    },
    onDrain: () => (roomCalls += 1),
    budget: room,
  });
  const push = (bytes: number) =>
    pipeline.push(bytes, () => new Promise((resolve) => accepting.push(resolve)));
  const answer = async (index: number) => {
    accepting[index]?.({ sequence: BigInt(index), accepted: 1, rejections: [] });
    await Promise.resolve();
    await Promise.resolve();
  };
  return { pipeline, push, answer, delivered, unsent, room, roomCalls: () => roomCalls };
}

test("acks are sent in the order of the batches, whatever the order of their outcomes", async () => {
  const { push, answer, delivered } = startPipeline();
  for (let i = 0; i < 4; i++) push(10);
  await answer(2);
  await answer(1);
  assert.deepEqual(delivered, []);
  await answer(0);
  assert.deepEqual(
    delivered.map(({ sequence }) => sequence),
    [0n, 1n, 2n],
  );
  await answer(3);
  assert.equal(delivered.length, 4);
});

test("a stream is full at 32 batches until an ack is sent, and then calls onDrain once", async () => {
  const { pipeline, push, answer, unsent, roomCalls } = startPipeline();
  for (let i = 0; i < streamLimits.batchesMax; i++) {
    assert.equal(pipeline.isFull, false);
    push(10);
  }
  assert.equal(pipeline.isFull, true);
  await answer(0);
  assert.equal(pipeline.isFull, true, "the ack is not sent yet");
  unsent[0]?.();
  assert.equal(pipeline.isFull, false);
  await answer(1);
  unsent[1]?.();
  assert.equal(roomCalls(), 1);
});

test("a stream is full at 4 MiB", () => {
  const { pipeline, push } = startPipeline();
  for (let i = 0; i < 3; i++) push(1 << 20);
  assert.equal(pipeline.isFull, false);
  push(1 << 20);
  assert.equal(pipeline.isFull, true);
});

test("while all streams together exceed their budget, each has one batch in flight", async () => {
  const room = { bytes: 0, bytesMax: 1_000 };
  const greedy = startPipeline(room);
  const other = startPipeline(room);
  greedy.push(2_000);
  assert.equal(other.pipeline.isFull, false);
  other.push(10);
  assert.equal(other.pipeline.isFull, true);
  await other.answer(0);
  other.unsent[0]?.();
  assert.equal(other.pipeline.isFull, false);
});

test("an abandoned stream frees its budget, sends nothing more, and is idle", async () => {
  const { pipeline, push, answer, delivered, room } = startPipeline();
  for (let i = 0; i < 3; i++) push(100);
  const idle = pipeline.whenIdle();
  pipeline.abandon();
  await idle;
  assert.equal(room.bytes, 0);
  await answer(0);
  assert.deepEqual(delivered, []);
});
