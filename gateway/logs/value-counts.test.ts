import assert from "node:assert/strict";
import { test } from "node:test";
import { ValueCounts } from "./value-counts.ts";

test("the most frequent values come first, equally frequent ones by their UTF-8, and only those that are wanted", () => {
  const counts = new ValueCounts();
  for (const value of ["b", "\u{1f600}", "c", "\uffee", "b", "a", "c", "c"]) assert.ok(counts.add(value));
  assert.deepEqual(counts.top(4), [
    { value: "c", count: 3 },
    { value: "b", count: 2 },
    { value: "a", count: 1 },
    { value: "\uffee", count: 1 },
  ]);
  assert.deepEqual(
    counts.top(10, (value) => value > "z").map(({ value }) => value),
    ["\uffee", "\u{1f600}"],
  );
});

test("values beyond the bytes are not counted, known ones still are", () => {
  const counts = new ValueCounts(1000);
  assert.ok(counts.add("x".repeat(300)));
  assert.equal(counts.add("y".repeat(300)), false);
  assert.ok(counts.add("x".repeat(300)));
  assert.deepEqual(
    counts.top(10).map(({ count }) => count),
    [2],
  );
});
