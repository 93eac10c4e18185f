import assert from "node:assert/strict";
import { test } from "node:test";
import { fromBinary } from "@bufbuild/protobuf";
import { LineEncoder, type LineEncoderOptions } from "#client/line-encoder.ts";
import { LogRecordSchema, Severity } from "#proto/gen/fleetlog/v1/log_pb.ts";

function recordsOf(lines: readonly string[], options: Partial<LineEncoderOptions> = {}) {
  const encoder = new LineEncoder({ file: "app.log", timeOfReading: false, ...options });
  return lines.map((line, index) =>
    fromBinary(LogRecordSchema, encoder.encode(index + 1, Buffer.from(line))),
  );
}

test("a record is the line, with its place, time and severity", () => {
  const [record] = recordsOf(["2026-11-01T12:34:56.5Z WARN low on coffee\r"], { logger: "kitchen" });
  assert.equal(record?.message, "2026-11-01T12:34:56.5Z WARN low on coffee\r");
  assert.equal(record.timeUnixNano, BigInt(Date.parse("2026-11-01T12:34:56.5Z")) * 1_000_000n);
  assert.equal(record.severity, Severity.WARN);
  assert.equal(record.logger, "kitchen");
  assert.deepEqual(record.attributes, { file: "app.log", line: "1" });
});

test("a line without a time takes the last one seen, and none before any was seen", () => {
  const [first, second, third] = recordsOf(["starts", "2026-11-01T12:34:56Z ERROR boom", "  at boom.ts:1"]);
  assert.equal(first?.timeUnixNano, 0n);
  assert.equal(third?.timeUnixNano, second?.timeUnixNano);
});

test("a line before the first one with a time has that time, if told of it", () => {
  const lines = ["", "Start-Date: 2026-11-01  12:34:56"].map((line) => ({ bytes: Buffer.from(line) }));
  const encoder = new LineEncoder({ file: "apt.log", timeOfReading: false });
  encoder.lookAhead(lines);
  const record = fromBinary(LogRecordSchema, encoder.encode(1, Buffer.from("")));
  assert.equal(record.timeUnixNano, BigInt(new Date("2026-11-01T12:34:56").getTime()) * 1_000_000n);
});

test("a line from a pipe without a time has that of its reading", () => {
  const before = BigInt(Date.now()) * 1_000_000n;
  const [record] = recordsOf(["up"], { timeOfReading: true });
  assert.ok(record && record.timeUnixNano >= before);
});

test("a severity that is given holds for every line", () => {
  const [record] = recordsOf(["ERROR x"], { severity: Severity.DEBUG });
  assert.equal(record?.severity, Severity.DEBUG);
});
