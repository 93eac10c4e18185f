import assert from "node:assert/strict";
import { test } from "node:test";
import { backoffMs, fullJitterMs } from "./backoff.ts";

const backoff = { baseMs: 100, capMs: 5_000 };

test("doubles from the base and stops at the cap", () => {
  const longest = [1, 2, 3, 6, 7, 1_000_000].map((attempt) => backoffMs(attempt, backoff, () => 1));
  assert.deepEqual(longest, [100, 200, 400, 3_200, 5_000, 5_000]);
});

test("jitters between half and the whole", () => {
  assert.equal(
    backoffMs(2, backoff, () => 0),
    100,
  );
  assert.equal(
    backoffMs(2, backoff, () => 0.5),
    150,
  );
});

test("full jitter is between 0 and the whole", () => {
  const delays = [0, 0.5, 1].map((random) => fullJitterMs(3, backoff, () => random));
  assert.deepEqual(delays, [0, 200, 400]);
});
