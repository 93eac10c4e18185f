import assert from "node:assert/strict";
import { test } from "node:test";
import { Watermark } from "./watermark.ts";

test("is above from the high mark until the low one", () => {
  const mark = new Watermark(80, 70);
  const seen = [79, 80, 75, 71, 70, 75, 79, 90].map((level) => {
    mark.update({ atLeast: level, atMost: level });
    return mark.isAbove;
  });
  assert.deepEqual(seen, [false, true, true, true, false, false, false, true]);
});

test("bounds change it only when both agree", () => {
  const mark = new Watermark(80, 70);
  const seen = [
    [0, 1_000],
    [80, 1_000],
    [0, 1_000],
    [0, 71],
    [0, 70],
  ].map(([atLeast = 0, atMost = 0]) => {
    mark.update({ atLeast, atMost });
    return mark.isAbove;
  });
  assert.deepEqual(seen, [false, true, true, true, false]);
});

test("a low mark that is not below the high one is refused", () => {
  assert.throws(() => new Watermark(70, 70), RangeError);
});
