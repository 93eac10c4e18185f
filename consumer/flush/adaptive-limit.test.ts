import assert from "node:assert/strict";
import { test } from "node:test";
import { AdaptiveFlushLimit } from "./adaptive-limit.ts";
import type { Flush } from "./transaction.ts";

const makeFlush = (count: number): Flush => ({
  batches: [],
  deadLetters: Array.from({ length: count }, (_, n) => ({
    entryName: `${n}-0`,
    reason: "",
    raw: Buffer.alloc(0),
  })),
});

/** The largest number of records that is stored at once. */
function readLimit(size: AdaptiveFlushLimit): number {
  let count = 1;
  while (count < 1_000 && !size.isTooLarge(makeFlush(count + 1))) count += 1;
  return count;
}

test("a timeout halves the limit, once for two flushes of the same size, and never below one row", () => {
  const size = new AdaptiveFlushLimit();
  assert.equal(readLimit(size), 1_000);
  size.onTimeout(makeFlush(100));
  size.onTimeout(makeFlush(100));
  assert.equal(readLimit(size), 50);
  size.onTimeout(makeFlush(1));
  assert.equal(readLimit(size), 1);
});

test("the limit grows by an eighth with each success near it, and not with a small flush", () => {
  const size = new AdaptiveFlushLimit();
  size.onTimeout(makeFlush(160));
  size.onStored(makeFlush(40));
  assert.equal(readLimit(size), 80);
  size.onStored(makeFlush(41));
  assert.equal(readLimit(size), 90);
});
