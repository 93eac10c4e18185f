import assert from "node:assert/strict";
import { test } from "node:test";
import { copyTrailer } from "#batch/copy-format.ts";
import { createBatchPool } from "./batch-pool.ts";
import { conventionalRows, ourRows } from "./copy-baseline.ts";

test("the conventional table gets the same records", () => {
  const pool = createBatchPool(3, 5);
  const conventional = conventionalRows(pool, 2);
  assert.equal(ourRows(pool).rows, 15);
  assert.equal(conventional.rows, 15);
  assert.deepEqual(conventional.bytes.subarray(-copyTrailer.length), copyTrailer);
  let position = 19;
  for (let row = 0; row < conventional.rows; row += 1) {
    assert.equal(conventional.bytes.readInt16BE(position), 8);
    position += 2;
    for (let column = 0; column < 8; column += 1) {
      position += 4 + Math.max(0, conventional.bytes.readInt32BE(position));
    }
  }
  assert.equal(position, conventional.bytes.length - copyTrailer.length);
});
