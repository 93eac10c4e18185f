import assert from "node:assert/strict";
import { test } from "node:test";
import { SequenceRanges } from "#client/stream/sequence-ranges.ts";

test("counts each sequence once, for any order and overlap of ranges", () => {
  const ranges = new SequenceRanges();
  for (const [first, last] of [
    [10n, 12n],
    [5n, 5n],
    [11n, 20n],
    [7n, 7n],
    [6n, 6n],
    [1n, 1n],
  ] as const) {
    ranges.add(first, last);
  }
  const member = [1n, 5n, 6n, 7n, ...Array.from({ length: 11 }, (_, index) => BigInt(10 + index))];
  for (let until = 0n; until < 25n; until += 1n) {
    assert.equal(ranges.countUntil(until), BigInt(member.filter((sequence) => sequence <= until).length));
  }
  ranges.add(2n, 2n ** 63n - 1n);
  assert.equal(ranges.countUntil(2n ** 63n - 1n), 2n ** 63n - 1n);
});

test("forgets the lowest ranges beyond its limit", () => {
  const ranges = new SequenceRanges(3);
  for (const sequence of [1n, 3n, 5n, 7n]) ranges.add(sequence, sequence);
  assert.equal(ranges.countUntil(100n), 3n);
  assert.equal(ranges.countUntil(2n), 0n);
});
