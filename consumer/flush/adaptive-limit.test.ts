import assert from "node:assert/strict";
import { test } from "node:test";
import { AdaptiveFlushLimit } from "./adaptive-limit.ts";
import type { Flush } from "./transaction.ts";

const flushOf = (count: number): Flush => ({
  batches: [],
  deadLetters: Array.from({ length: count }, (_, n) => ({
    entryName: `${n}-0`,
    reason: "",
    raw: Buffer.alloc(0),
  })),
});

/** The largest flush that is written at once. */
function limitOf(size: AdaptiveFlushLimit): number {
  let count = 1;
  while (count < 1_000 && !size.isTooLarge(flushOf(count + 1))) count += 1;
  return count;
}

test("flushes are halved by what was too slow, once for two of the same size, and never below one row", () => {
  const size = new AdaptiveFlushLimit();
  assert.equal(limitOf(size), 1_000);
  size.onTimeout(flushOf(100));
  size.onTimeout(flushOf(100));
  assert.equal(limitOf(size), 50);
  size.onTimeout(flushOf(1));
  assert.equal(limitOf(size), 1);
});

test("flushes grow by an eighth with each success near the limit, and by nothing with a small one", () => {
  const size = new AdaptiveFlushLimit();
  size.onTimeout(flushOf(160));
  size.onStored(flushOf(40));
  assert.equal(limitOf(size), 80);
  size.onStored(flushOf(41));
  assert.equal(limitOf(size), 90);
});
