import assert from "node:assert/strict";
import { test } from "node:test";
import { RowHeights } from "./row-heights.ts";

test("rows of unknown height are estimated until they are measured", () => {
  const heights = new RowHeights(20);
  heights.setKeys(["a", "b", "c", "d"]);
  assert.deepEqual([heights.total, heights.top(2), heights.indexAt(45)], [80, 40, 2]);
  assert.equal(heights.note(new Map([["b", 100]])), true);
  assert.equal(heights.note(new Map([["b", 100.2]])), false);
  assert.deepEqual(
    [heights.total, heights.top(2), heights.indexAt(45), heights.indexAt(119)],
    [160, 120, 1, 1],
  );
  assert.deepEqual([heights.indexAt(-5), heights.indexAt(1e9)], [0, 3]);
});

test("a height stays with its row when the row moves", () => {
  const heights = new RowHeights(20);
  heights.setKeys(["a", "b"]);
  heights.note(new Map([["b", 50]]));
  heights.setKeys(["b", "c", "d", "e", "f"]);
  assert.deepEqual([heights.top(1), heights.total], [50, 130]);
  heights.forget();
  assert.equal(heights.total, 100);
  heights.setKeys([]);
  assert.deepEqual([heights.total, heights.indexAt(10)], [0, 0]);
});
