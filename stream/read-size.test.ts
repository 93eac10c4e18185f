import assert from "node:assert/strict";
import { test } from "node:test";
import { ReadSize } from "./read-size.ts";

const makeEntries = (count: number, bytes: number) =>
  Array.from({ length: count }, () => ({ entry: { batch: Buffer.alloc(bytes) } }));

test("the byte limit of a read is shared by all of its streams, the entry limit is per stream", () => {
  const size = new ReadSize({ countMax: 500, bytesMax: 4 << 20 });
  assert.deepEqual([size.count(1), size.count(2), size.count(4), size.count(64)], [4, 2, 1, 1]);
  for (let read = 0; read < 10; read++) size.learn(makeEntries(10, 8 << 10));
  assert.deepEqual([size.count(1), size.count(4), size.count(64)], [500, 128, 8]);
});

test("a read of large batches makes the next one small at once, small ones let it grow by four at most", () => {
  const size = new ReadSize({ countMax: 500, bytesMax: 4 << 20 });
  size.learn(makeEntries(10, 100));
  assert.equal(size.count(1), 16);
  size.learn([]);
  assert.equal(size.count(1), 16);
  size.learn(makeEntries(10, 100));
  assert.equal(size.count(1), 64);
  size.learn(makeEntries(2, 1 << 20));
  assert.equal(size.count(1), 4);
});
