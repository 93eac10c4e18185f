import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { limits } from "#batch/limits.ts";
import { Severity } from "#proto/gen/fleetlog/v1/log_pb.ts";
import { toRecord } from "./pino-record.ts";

const line = { level: 30, time: 1_700_000_000_123, msg: "started" };

describe("a line of pino", () => {
  test("has its time, severity, logger, trace and message in the fields of a record", () => {
    const record = toRecord({
      ...line,
      name: "net.wifi",
      trace_id: "0af7651916cd43dd8448eb211c80319c",
      span_id: "b7ad6b7169203331",
    });
    assert.deepEqual(record, {
      timeUnixNano: 1_700_000_000_123_000_000n,
      severity: Severity.INFO,
      message: "started",
      logger: "net.wifi",
      traceId: Buffer.from("0af7651916cd43dd8448eb211c80319c", "hex"),
      spanId: Buffer.from("b7ad6b7169203331", "hex"),
      attributes: {},
    });
  });

  test("keeps numbers, booleans and null as they are, and flattens what is nested", () => {
    const { attributes } = toRecord({
      ...line,
      pid: 7,
      ratio: 0.5,
      ok: true,
      none: null,
      req: { method: "GET", headers: { host: "a" } },
      list: [1, { a: 2 }],
      empty: {},
    });
    assert.deepEqual(attributes, {
      pid: 7,
      ratio: 0.5,
      ok: true,
      none: null,
      "req.method": "GET",
      "req.headers.host": "a",
      list: '[1,{"a":2}]',
      empty: "{}",
    });
  });

  test("has an error as OpenTelemetry names it", () => {
    const err = { type: "TypeError", message: "no", stack: "TypeError: no\n at a", code: "E1" };
    assert.deepEqual(toRecord({ ...line, err }).attributes, {
      "exception.type": "TypeError",
      "exception.message": "no",
      "exception.stacktrace": "TypeError: no\n at a",
      "err.code": "E1",
    });
  });

  test("takes renamed keys, labels as levels and ISO times", () => {
    const record = toRecord(
      { level: "warn", time: "2026-01-02T03:04:05.678Z", text: "low", failure: { message: "m" } },
      { messageKey: "text", errorKey: "failure" },
    );
    assert.equal(record.message, "low");
    assert.equal(record.severity, Severity.WARN);
    assert.equal(record.timeUnixNano, BigInt(Date.parse("2026-01-02T03:04:05.678Z")) * 1_000_000n);
    assert.deepEqual(record.attributes, { "exception.message": "m" });
  });

  test("with a level of its own has the severity below it; without time or level neither", () => {
    const severities = [5, 10, 35, 69, 1_000, 0, -1, "loud", "constructor", undefined].map(
      (level) => toRecord({ level }).severity,
    );
    const { TRACE, INFO, FATAL, UNSPECIFIED: none } = Severity;
    assert.deepEqual(severities, [TRACE, TRACE, INFO, FATAL, FATAL, none, none, none, none, none]);
    assert.equal(toRecord({ level: 30, time: "yesterday" }).timeUnixNano, 0n);
  });

  test("exceeds no limit: what is too long is cut between characters, what is too much is in `rest`", () => {
    const many = Object.fromEntries(Array.from({ length: 100 }, (_, index) => [`a${index}`, index]));
    const record = toRecord({
      ...line,
      msg: "ü".repeat(limits.messageBytesMax),
      name: "x".repeat(limits.loggerBytesMax + 1),
      long: "€".repeat(limits.attributeValueBytesMax),
      nul: "a\0b",
      ["k".repeat(limits.attributeKeyBytesMax + 1)]: 1,
      ...many,
    });
    const attributes = record.attributes!;
    assert.ok(bytes(record.message) <= limits.messageBytesMax && String(record.message).endsWith("ü…"));
    assert.ok(bytes(record.logger) <= limits.loggerBytesMax);
    assert.ok(bytes(attributes["long"]) <= limits.attributeValueBytesMax);
    assert.ok(String(attributes["long"]).endsWith("€…"));
    assert.equal(attributes["nul"], "a\uFFFDb");
    assert.equal(Object.keys(attributes).length, limits.attributesMax);
    const rest = JSON.parse(attributes["rest"] as string) as Record<string, unknown>;
    assert.equal(rest["a99"], 99);
    assert.equal(Object.keys(rest).length, 102 - (limits.attributesMax - 1) + 1);
  });
});

function bytes(text: unknown): number {
  return Buffer.byteLength(text as string);
}
