import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { limits } from "./limits.ts";

const proto = readFileSync(fileURLToPath(import.meta.resolve("#proto/fleetlog/v1/log.proto")), "utf8");

const bytes = (count: number) =>
  count % 1024 === 0 && count >= 1024 ? `${count / 1024} KiB` : `${count} bytes`;

/** What log.proto says of each field that has a limit. */
const said: readonly [message: string, field: string, words: string][] = [
  ["Attribute", "key", `1 to ${bytes(limits.attributeKeyBytesMax)}`],
  ["Attribute", "string_value", `at most ${bytes(limits.attributeValueBytesMax)}`],
  ["LogRecord", "severity", `0 to ${limits.severityMax}`],
  ["LogRecord", "logger", `at most ${bytes(limits.loggerBytesMax)}`],
  ["LogRecord", "message", `at most ${bytes(limits.messageBytesMax)}`],
  ["LogRecord", "attributes", `at most ${limits.attributesMax} attributes`],
  ["LogRecord", "trace_id", bytes(limits.traceIdBytes)],
  ["LogRecord", "span_id", bytes(limits.spanIdBytes)],
  ["LogRecord", "event_name", `at most ${bytes(limits.eventNameBytesMax)}`],
  [
    "LogRecord",
    "uptime_nano",
    `at most ${Math.floor(Number(limits.uptimeNanoMax) / 1e9 / 86_400 / 365.25)} years`,
  ],
  ["LogRecord", "severity_text", `at most ${bytes(limits.severityTextBytesMax)}`],
  ["UnreadableRecord", "json", `share ${bytes(limits.unreadableBytesMax)}`],
  ["UnreadableRecord", "reason", `at most ${bytes(limits.unreadableReasonBytesMax)}`],
  ["LogBatch", "device_id", `1 to ${limits.deviceIdBytesMax} characters`],
  ["LogBatch", "session_id", `at most ${limits.sessionIdBytesMax} characters`],
  ["LogBatch", "sequence", "at most 2^63 - 2"],
  ["LogBatch", "records", `1 to ${limits.recordsMax.toLocaleString("en")}`],
  ["LogBatch", "attributes", `At most ${limits.attributesMax}`],
  ["DeviceInfo", "firmware", `at most ${bytes(limits.deviceInfoBytesMax)}`],
  ["DeviceInfo", "hardware", `at most ${bytes(limits.deviceInfoBytesMax)}`],
  ["DeviceInfo", "site", `at most ${bytes(limits.deviceInfoBytesMax)}`],
  ["DeviceInfo", "attributes", `at most ${limits.attributesMax}`],
  ["Dropped", "last_sequence", "At most 2^32 batches"],
  ["Dropped", "reason", `at most ${bytes(limits.droppedReasonBytesMax)}`],
];

for (const [message, field, words] of said) {
  test(`log.proto says of ${message}.${field}: ${words}`, () => {
    assert.ok(commentOf(message, field).includes(words), commentOf(message, field));
  });
}

test("log.proto says how large a batch may be", () => {
  const comment = proto.slice(0, proto.indexOf("message LogBatch {")).split("\n}\n").at(-1) ?? "";
  const count = limits.recordsMax.toLocaleString("en");
  assert.match(comment.replaceAll(/\n\/\/ /g, " "), new RegExp(`At most 1 MiB and ${count} records`));
  assert.equal(limits.batchBytesMax, 1024 * 1024);
  assert.equal(limits.sequenceMax, 2n ** 63n - 2n);
  assert.equal(limits.droppedBatchesMax, 2n ** 32n);
});

/** The comment above a field, in one line. */
function commentOf(message: string, field: string): string {
  const start = proto.indexOf(`message ${message} {`);
  const body = proto.slice(start, proto.indexOf("\n}", start));
  const end = body.search(new RegExp(` ${field} = \\d+;`));
  assert.ok(start > 0 && end > 0, `${message}.${field}`);
  const lines = body.slice(0, end).split("\n").slice(0, -1);
  const comment = lines.slice(lines.findLastIndex((line) => !line.trim().startsWith("//")) + 1);
  return comment.map((line) => line.trim().replace(/^\/\/ ?/, "")).join(" ");
}
