import assert from "node:assert/strict";
import { test } from "node:test";
import { fromBinary } from "@bufbuild/protobuf";
import { LineEncoder, type LineEncoderOptions } from "#client/lines/line-encoder.ts";
import { readAttributes } from "#proto/attributes.ts";
import { LogRecordSchema, Severity } from "#proto/gen/fleetlog/v1/log_pb.ts";

function toRecords(lines: readonly string[], options: Partial<LineEncoderOptions> = {}) {
  const encoder = new LineEncoder({ file: "app.log", isLive: false, ...options });
  const read = lines.map((line, index) => encoder.add({ number: index + 1, bytes: Buffer.from(line) }));
  return [...read, encoder.finish()]
    .filter((record) => record !== undefined)
    .map((record) => fromBinary(LogRecordSchema, encoder.encode(record)));
}

test("a record is the line, with its file and line numbers, time and severity", () => {
  const [record] = toRecords(["2026-11-01T12:34:56.5Z WARN low on coffee\r"], { logger: "kitchen" });
  assert.equal(record?.message, "2026-11-01T12:34:56.5Z WARN low on coffee\r");
  assert.equal(record.timeUnixNano, BigInt(Date.parse("2026-11-01T12:34:56.5Z")) * 1_000_000n);
  assert.equal(record.severity, Severity.WARN);
  assert.equal(record.logger, "kitchen");
  assert.deepEqual(readAttributes(record.attributes), { file: "app.log", line: "1" });
});

test("JSON and logfmt give a record its trace, its span and the name of its event, by their usual names", () => {
  const trace = "0af7651916cd43dd8448eb211c80319c";
  const span = "00f067aa0ba902b7";
  const lines = [
    `{"trace_id":"${trace}","span_id":"${span}","event_name":"boot","msg":"m"}`,
    `{"traceId":"${trace.toUpperCase()}","spanId":"${span}","eventName":"boot"}`,
    `{"trace.id":"${trace}","span.id":"${span}","event.name":"boot"}`,
    `level=info trace_id=${trace} span_id=${span} event_name=boot msg="m"`,
    `started request trace_id=${trace} span_id=${span} event_name=boot`,
  ];
  for (const [index, record] of toRecords(lines).entries()) {
    const { traceId, spanId, eventName, message } = record;
    const ids = [traceId, spanId].map((id) => Buffer.from(id).toString("hex"));
    assert.deepEqual([...ids, eventName, message], [trace, span, "boot", lines[index]]);
  }
});

test("what is no trace stays in the message alone", () => {
  const lines = [
    '{"trace_id":"7","span_id":7,"event_name":""}',
    `{"trace_id":"${"0".repeat(32)}","span_id":"${"0".repeat(16)}","event_name":"${"x".repeat(257)}"}`,
    "level=info trace_id=- span_id=",
  ];
  for (const { traceId, spanId, eventName } of toRecords(lines)) {
    assert.deepEqual([traceId.length, spanId.length, eventName], [0, 0, ""]);
  }
});

test("in a file a line without a time gets the last time before it, or none", () => {
  const [first, second, third] = toRecords(["starts", "2026-11-01T12:34:56Z ERROR boom", "and goes on"]);
  assert.equal(first?.timeUnixNano, 0n);
  assert.equal(third?.timeUnixNano, second?.timeUnixNano);
});

test("in a pipe a continuation line has the record's time, any other line the time of reading", () => {
  const before = BigInt(Date.now()) * 1_000_000n;
  const lines = [
    "2026-11-01T12:34:56Z ERROR boom",
    "  at boom (boom.ts:1)",
    "up",
    "2026-11-01T12:34:57Z x",
    "down",
  ];
  const [trace, up, dated, down] = toRecords(lines, { isLive: true });
  assert.equal(trace?.message, lines.slice(0, 2).join("\n"));
  assert.equal(dated?.timeUnixNano, BigInt(Date.parse("2026-11-01T12:34:57Z")) * 1_000_000n);
  for (const undated of [up, down]) assert.ok(undated && undated.timeUnixNano >= before);
});

test("a line before the first time gets that time, if the caller looked ahead", () => {
  const lines = ["", "Start-Date: 2026-11-01  12:34:56"].map((line) => ({ bytes: Buffer.from(line) }));
  const encoder = new LineEncoder({ file: "apt.log", isLive: false });
  encoder.lookAhead(lines);
  encoder.add({ number: 1, bytes: Buffer.from("") });
  assert.equal(
    encoder.finish()?.timeUnixNano,
    BigInt(new Date("2026-11-01T12:34:56").getTime()) * 1_000_000n,
  );
});

test("a given severity applies to every line", () => {
  const [record] = toRecords(["ERROR x"], { severity: Severity.DEBUG });
  assert.equal(record?.severity, Severity.DEBUG);
});

function severities(lines: readonly string[], options: Partial<LineEncoderOptions> = {}): Severity[] {
  return toRecords(lines, options).map(({ severity }) => severity);
}

test("a stack trace without a severity is an error, other joined lines are not", () => {
  const trace = ["Traceback (most recent call last):", '  File "a.py", line 1', "ValueError: no"];
  assert.deepEqual(severities(trace), [Severity.ERROR]);
  assert.deepEqual(severities(["2026-11-01 12:34:56 request failed", ...trace]), [Severity.ERROR]);
  assert.deepEqual(severities(["2026-11-01 12:34:56 INFO retried", ...trace]), [Severity.INFO]);
  assert.deepEqual(severities(["2026-11-01 12:34:56 a list", "  one"]), [Severity.INFO]);
  assert.deepEqual(severities(["#1", "a", "#2"], { multiline: /^#/ }), [Severity.INFO, Severity.INFO]);
  assert.deepEqual(severities([...trace, "2026-11-01 12:34:56 goes on"]), [Severity.ERROR, Severity.INFO]);
});

test("a Rust panic is an error", () => {
  const panic = ["thread 'main' panicked at src/main.rs:4:5:", "index out of bounds"];
  assert.deepEqual(severities(["2026-11-01T12:34:56Z INFO up", ...panic]), [Severity.INFO, Severity.ERROR]);
});

test("terminal colors are ignored for time, severity and stack traces, and stay in the message", () => {
  const lines = [
    "\x1b[2m2026-11-01T12:34:56.5Z\x1b[0m \x1b[31mERROR\x1b[0m \x1b[2mapp\x1b[0m\x1b[2m:\x1b[0m boom",
    "\x1b[90m    at read (/srv/pump.js:3:9)\x1b[39m",
    "\x1b[38;5;3m2026-11-01T12:34:57Z [warn]\x1b[0m late",
  ];
  const [error, warning] = toRecords(lines);
  assert.equal(error?.message, lines.slice(0, 2).join("\n"));
  assert.equal(error.timeUnixNano, BigInt(Date.parse("2026-11-01T12:34:56.5Z")) * 1_000_000n);
  assert.deepEqual([error.severity, warning?.severity], [Severity.ERROR, Severity.WARN]);
  assert.equal(warning?.message, lines[2]);
});
