import assert from "node:assert/strict";
import { test } from "node:test";
import { create } from "@bufbuild/protobuf";
import { TimestampSchema } from "@bufbuild/protobuf/wkt";
import { microsFromTimestamp, showMicros, timestampFromMicros } from "./time.ts";

const cases: [micros: bigint, seconds: bigint, nanos: number, shown: string][] = [
  [0n, 0n, 0, "1970-01-01T00:00:00.000000Z"],
  [1_767_225_600_000_001n, 1_767_225_600n, 1000, "2026-01-01T00:00:00.000001Z"],
  [-1n, -1n, 999_999_000, "1969-12-31T23:59:59.999999Z"],
  [-62_135_596_800_000_000n, -62_135_596_800n, 0, "0001-01-01T00:00:00.000000Z"],
  [253_402_300_799_999_999n, 253_402_300_799n, 999_999_000, "9999-12-31T23:59:59.999999Z"],
];

for (const [micros, seconds, nanos, shown] of cases) {
  test(`${shown} keeps every microsecond`, () => {
    const timestamp = timestampFromMicros(micros);
    assert.deepEqual([timestamp.seconds, timestamp.nanos], [seconds, nanos]);
    assert.equal(microsFromTimestamp("time", timestamp), micros);
    assert.equal(showMicros(micros), shown);
  });
}

test("a bound between two microseconds is rounded up", () => {
  assert.equal(microsFromTimestamp("time", create(TimestampSchema, { nanos: 1 })), 1n);
  assert.equal(microsFromTimestamp("time", create(TimestampSchema, { nanos: 1000 })), 1n);
  const last = create(TimestampSchema, { seconds: 253_402_300_799n, nanos: 999_999_999 });
  assert.equal(showMicros(microsFromTimestamp("time", last)), "9999-12-31T23:59:59.999999Z");
});

test("times that RFC 3339 cannot express are refused by the name of their field", () => {
  for (const bad of [
    { seconds: 2n ** 62n },
    { seconds: -62_135_596_801n },
    { nanos: -1 },
    { nanos: 1_000_000_000 },
  ]) {
    assert.throws(
      () => microsFromTimestamp("start_time", create(TimestampSchema, bad)),
      /^InvalidFieldError: start_time/,
    );
  }
});
