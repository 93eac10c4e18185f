import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { readLineTime } from "#client/line-time.ts";

const nanosOf = (line: string) => readLineTime(Buffer.from(line))?.timeUnixNano;
const utc = (text: string, nanos = 0) => BigInt(Date.parse(text)) * 1_000_000n + BigInt(nanos);
const local = (text: string) => BigInt(new Date(text).getTime()) * 1_000_000n;

describe("a line's own time", () => {
  const known: readonly [line: string, wanted: bigint][] = [
    ["2026-11-01 12:34:56 status installed libc6", local("2026-11-01T12:34:56")],
    ["2026-11-01T12:34:56 local without a zone", local("2026-11-01T12:34:56")],
    ["2026-11-01T12:34:56Z up", utc("2026-11-01T12:34:56Z")],
    ["2026-11-01T12:34:56.789Z", utc("2026-11-01T12:34:56.789Z")],
    ["2026-11-01T12:34:56.123456789Z", utc("2026-11-01T12:34:56Z", 123_456_789)],
    ["2026-11-01 12:34:56,5 comma", local("2026-11-01T12:34:56") + 500_000_000n],
    ["2026-11-01T12:34:56+01:30", utc("2026-11-01T11:04:56Z")],
    ["2026-11-01T12:34:56 -0800 git", utc("2026-11-01T20:34:56Z")],
    ["[2026-11-01T12:34:56Z] in brackets", utc("2026-11-01T12:34:56Z")],
    ["<165>1 2026-11-01T12:34:56Z host app - - -", utc("2026-11-01T12:34:56Z")],
    ["Start-Date: 2026-11-01  12:34:56", local("2026-11-01T12:34:56")],
    ["Log started: 2026-11-01  12:34:56", local("2026-11-01T12:34:56")],
  ];
  for (const [line, wanted] of known) test(`is read from ${line}`, () => assert.equal(nanosOf(line), wanted));

  const unknown = [
    "",
    "no time",
    "at 2026-11-01 12:34:56",
    "2026-11-01",
    "2026-11-01 12:34",
    "2026-02-30 12:34:56",
    "2026-13-01 12:34:56",
    "2026-11-01 24:00:00",
    "2026-11-01 12:60:00",
    "1969-12-31T23:59:59Z",
    "9999-01-01T00:00:00Z",
    "Expires: 2099-01-01 00:00:00",
    "2026-11-01 12:34:567",
  ];
  for (const line of unknown)
    test(`is not read from "${line}"`, () => assert.equal(nanosOf(line), undefined));

  test("does not mind bytes that are not UTF-8 behind it", () => {
    const line = Buffer.concat([Buffer.from("2026-11-01T12:34:56Z "), Buffer.from([0xff, 0xfe])]);
    assert.equal(readLineTime(line)?.byteLength, 20);
  });
});
