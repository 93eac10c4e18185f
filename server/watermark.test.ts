import assert from "node:assert/strict";
import { test } from "node:test";
import { Watermark } from "./watermark.ts";

test("is above from the high mark until the low one, and unknown changes nothing", () => {
  const mark = new Watermark(80, 70);
  const seen = [79, 80, 75, undefined, 71, 70, 75, undefined, 79, 90].map((level) => {
    mark.update(level);
    return mark.isAbove;
  });
  assert.deepEqual(seen, [false, true, true, true, true, false, false, false, false, true]);
});

test("a low mark that is not below the high one is refused", () => {
  assert.throws(() => new Watermark(70, 70), RangeError);
});
