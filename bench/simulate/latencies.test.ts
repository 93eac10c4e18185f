import assert from "node:assert/strict";
import { test } from "node:test";
import { Latencies } from "#bench/simulate/latencies.ts";
import { Tally } from "#bench/simulate/tally.ts";

test("percentiles are right to three digits, from 10 µs to minutes", () => {
  for (const unit of [0.01, 1, 100]) {
    const latencies = new Latencies();
    for (let count = 1; count <= 1_000; count += 1) latencies.record(count * unit);
    const { count, p50, p95, p99, max } = latencies.percentiles;
    assert.equal(count, 1_000);
    for (const [found, wanted] of [
      [p50, 500],
      [p95, 950],
      [p99, 990],
      [max, 1_000],
    ] as const) {
      assert(Math.abs(found / (wanted * unit) - 1) < 0.003, `${found} instead of ${wanted * unit}`);
    }
  }
});

test("nothing recorded is 0, not NaN", () => {
  assert.deepEqual(new Latencies().percentiles, { count: 0, p50: 0, p95: 0, p99: 0, max: 0 });
});

test("errors that differ in their numbers are one kind, and there is a bound on kinds", () => {
  const tally = new Tally();
  tally.error("connection lost", "port 1234");
  tally.error("connection lost", "port 99");
  assert.deepEqual([...tally.errors], [["connection lost: port N", 2]]);
  for (let kind = 0; kind < 100; kind += 1) tally.error("x".repeat(kind), "y");
  assert.equal(tally.errors.size, 41);
  assert.equal(tally.mark(1, undefined).errors, 102);
});
