import assert from "node:assert/strict";
import { test } from "node:test";
import { parseTime, readRange, resolveRange, rfc3339, writeRange } from "./time-range.ts";
import { durationText, timeText } from "./time-text.ts";

test("times keep their microseconds, before 1970 too", () => {
  for (const [text, micros] of [
    ["2026-01-01T00:00:00Z", 1_767_225_600_000_000],
    ["2026-01-01T00:00:00.000001Z", 1_767_225_600_000_001],
    ["1969-12-31T23:59:59.9Z", -100_000],
  ] as const) {
    assert.equal(parseTime(text), micros);
    assert.equal(rfc3339(micros), text);
  }
  assert.equal(parseTime("2026-01-01T02:00:00.5+02:00"), 1_767_225_600_500_000);
  for (const bad of ["", "yesterday", "2026-01-01", "2026-13-01T00:00:00Z", "2026-01-01T00:00:00.1234567Z"]) {
    assert.equal(parseTime(bad), undefined, bad);
  }
});

test("a range is read as it is written, and an invalid one is the last day", () => {
  for (const written of [
    "range=1h",
    "range=90s",
    "range=36h",
    "range=7d",
    "range=all",
    "",
    "from=2026-01-01T00%3A00%3A00Z",
  ]) {
    const parameters = new URLSearchParams();
    writeRange(readRange(new URLSearchParams(written)), parameters);
    assert.equal(parameters.toString(), written);
  }
  assert.deepEqual(readRange(new URLSearchParams("range=soon&from=x")), { lastSeconds: 86_400 });
});

test("the last hour has no end, because the clock of a device may be ahead", () => {
  assert.deepEqual(resolveRange({ lastSeconds: 3600 }, 7200e6), { from: 3600e6, to: undefined });
});

test("times and durations are short and readable", () => {
  assert.deepEqual(timeText(1_767_225_600_000_001, true, 6), { date: "2026-01-01", time: "00:00:00.000001" });
  assert.deepEqual([0.0004, 0.25, 1.5, 59, 60, 89, 90, 5400, 172_800].map(durationText), [
    "0 ms",
    "250 ms",
    "1.5 s",
    "59 s",
    "1 min",
    "89 s",
    "2 min",
    "2 h",
    "2 d",
  ]);
});
