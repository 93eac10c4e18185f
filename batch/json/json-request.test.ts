import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { fromBinary } from "@bufbuild/protobuf";
import { readAttributes } from "#proto/attributes.ts";
import { LogBatchSchema, type LogRecord } from "#proto/gen/fleetlog/v1/log_pb.ts";
import { digest } from "../digest.ts";
import { limits } from "../limits.ts";
import { rejectedBytes, scan } from "../scan.ts";
import { readJsonRequest } from "./json-request.ts";
import { readJsonSessionName } from "./json-session-name.ts";

/** A request whose batch has these records, as JSON writes them. */
function requestOf(records: string): Buffer {
  return Buffer.from(`{"batch":{"deviceId":"a","records":[${records}]}}`, "latin1");
}

function scanned(records: string) {
  const { batch, error } = readJsonRequest(requestOf(records));
  assert.equal(error, undefined);
  return scan(batch!);
}

function recordOf(json: string): LogRecord {
  const batch = scanned(json);
  assert.deepEqual(batch.rejections, []);
  return fromBinary(LogBatchSchema, batch.bytes).records[0]!;
}

describe("reads what senders mean:", () => {
  for (const [json, number] of [
    ['"WARN"', 13],
    ['"warn"', 13],
    ['"Warning"', 13],
    ['"SEVERITY_WARN"', 13],
    ['"severity_warn3"', 15],
    ['"\\u0057ARN"', 13],
    ["13", 13],
    ['"13"', 13],
    ["13.0", 13],
    ['"critical"', 21],
    ['"SEVERITY_UNSPECIFIED"', 0],
    ["null", 0],
  ] as const) {
    test(`severity ${json}`, () => assert.equal(recordOf(`{"severity":${json}}`).severity, number));
  }

  for (const [json, nanos] of [
    ['"1700000000123456789"', 1_700_000_000_123_456_789n],
    ["1700000000123456789", 1_700_000_000_123_456_789n], // more digits than a double has, taken as written
    ["1.7e18", 1_700_000_000_000_000_000n],
    ["18446744073709551615", 2n ** 64n - 1n],
    ['"2023-11-14T22:13:20Z"', 1_700_000_000_000_000_000n],
    ['"2023-11-14t22:13:20.123456789999z"', 1_700_000_000_123_456_789n],
    ['"2023-11-15 00:13:20.5+02:00"', 1_700_000_000_500_000_000n],
    ['"2023-11-14T20:43:20-01:30"', 1_700_000_000_000_000_000n],
    ['"1970-01-01T00:00:00Z"', 0n],
    ['"2016-12-31T23:59:60Z"', 1_483_228_800_000_000_000n],
    ["null", 0n],
  ] as const) {
    for (const name of ["timeUnixNano", "time_unix_nano"]) {
      test(`${name} ${json}`, () => assert.equal(recordOf(`{"${name}":${json}}`).timeUnixNano, nanos));
    }
  }

  for (const [json, value] of [
    ["1", 1n],
    ["-0", 0n],
    ["9223372036854775807", 2n ** 63n - 1n],
    ["-9223372036854775808", -(2n ** 63n)],
    ["9223372036854775808", 2 ** 63],
    ["-9223372036854775809", -(2 ** 63)],
    ["1.0", 1],
    ["-1.50e3", -1500],
    ["5e-324", 5e-324],
    ["1.7976931348623157e308", Number.MAX_VALUE],
    ["true", true],
    ["false", false],
    ["null", null],
    ['"\\u00e4\\ud83d\\ude00\\n\\/"', "ä\u{1f600}\n/"],
    ['""', ""],
    ['"NaN"', "NaN"],
  ] as const) {
    test(`attribute ${json}`, () => {
      assert.deepEqual(readAttributes(recordOf(`{"attributes":{"k":${json}}}`).attributes), { k: value });
    });
  }

  for (const [json, value] of [
    ['"stringValue":"1"', "1"],
    ['"string_value":""', ""],
    ['"intValue":"-9223372036854775808"', -(2n ** 63n)],
    ['"int_value":7', 7n],
    ['"doubleValue":7', 7],
    ['"doubleValue":"-1.5e3"', -1500],
    ['"doubleValue":"NaN"', Number.NaN],
    ['"double_value":"-Infinity"', Number.NEGATIVE_INFINITY],
    ['"boolValue":false', false],
    ['"boolValue":null', null],
    ['"other":{"x":[]}', null],
    ['"intValue":1,"stringValue":"the last of them"', "the last of them"],
  ] as const) {
    test(`a listed attribute with ${json}`, () => {
      for (const members of [`"key":"k",${json}`, `${json},"key":"k"`]) {
        assert.deepEqual(readAttributes(recordOf(`{"attributes":[{${members}}]}`).attributes), { k: value });
      }
    });
  }

  test("attributes of the batch, what the device says about itself, and a record's other times", () => {
    const json = `{"batch":{"deviceId":"a","attributes":{"boot":"brownout","n":1},
      "device":{"firmware":"2.1.0","other":1,"attributes":[{"key":"slots","intValue":"4"}],"site":null},
      "records":[{"uptimeNano":"7","severityText":"notice","observed_time_unix_nano":"1970-01-01T00:00:01Z"}]}}`;
    const { batch, unknownFields } = readJsonRequest(Buffer.from(json));
    const { attributes, device, records } = fromBinary(LogBatchSchema, batch!);
    assert.deepEqual(readAttributes(attributes), { boot: "brownout", n: 1n });
    assert.deepEqual([device?.firmware, device?.hardware, device?.site], ["2.1.0", "", ""]);
    assert.deepEqual(readAttributes(device!.attributes), { slots: 4n });
    const [{ uptimeNano, severityText, observedTimeUnixNano }] = records as [LogRecord];
    assert.deepEqual([uptimeNano, severityText, observedTimeUnixNano], [7n, "notice", 1_000_000_000n]);
    assert.equal(unknownFields, 1);
  });

  const traceId = Buffer.from("0af7651916cd43dd8448eb211c80319c", "hex");
  const spanId = Buffer.from("fbeff0f7aa0ba9ff", "hex");
  for (const [form, trace, span] of [
    ["hex", traceId.toString("hex"), spanId.toString("hex")],
    ["hex in capitals", traceId.toString("hex").toUpperCase(), spanId.toString("hex").toUpperCase()],
    ["base64", traceId.toString("base64"), spanId.toString("base64")],
    ["base64 for URLs, without padding", traceId.toString("base64url"), spanId.toString("base64url")],
    ["escapes", "\\u0030af7651916cd43dd8448eb211c80319c", "fbeff0f7aa0ba9f\\u0066"],
  ] as const) {
    test(`ids in ${form}`, () => {
      const record = recordOf(`{"traceId":"${trace}","span_id":"${span}","eventName":"boot"}`);
      assert.deepEqual([Buffer.from(record.traceId), Buffer.from(record.spanId)], [traceId, spanId]);
      assert.equal(record.eventName, "boot");
    });
  }

  test("no id as none: empty, null or all zeros", () => {
    for (const none of ['""', "null", `"${"0".repeat(32)}"`, '"AAAAAAAAAAAAAAAAAAAAAA=="']) {
      const request = requestOf(`{"message":"m","traceId":${none}}`);
      const plain = requestOf('{"message":"m"}');
      const [given, absent] = [request, plain].map((json) => digest(scan(readJsonRequest(json).batch!)));
      assert.deepEqual(given, absent, none);
    }
  });

  test("a lone surrogate as U+FFFD, counted, wherever it stands", () => {
    const cut = '"\\ud83d x \\ude00\\ud83d\\u0041 \\ud83d"';
    const request = requestOf(`{"message":${cut},"attributes":{${cut}:${cut}}}`);
    const { batch, replacedHalves } = readJsonRequest(request);
    const [record] = fromBinary(LogBatchSchema, batch!).records;
    const text = "\ufffd x \ufffd\ufffdA \ufffd";
    assert.equal(record?.message, text);
    assert.deepEqual(readAttributes(record.attributes), { [text]: text });
    assert.equal(replacedHalves, 12);
  });

  test("unknown keys as nothing, counted, whatever is in them", () => {
    const { batch, unknownFields } = readJsonRequest(
      Buffer.from(
        '{"x":[{"y":{}}],"batch":{"deviceId":"a","z":1,"records":[{"level":[[],{}],"msg":"\\ud800"},{"message":"m"}]}}',
      ),
    );
    assert.equal(unknownFields, 4);
    assert.deepEqual(
      fromBinary(LogBatchSchema, batch!).records.map(({ message }) => message),
      ["", "m"],
    );
  });

  test("the last of what is given twice, and null as not given", () => {
    const record = recordOf(
      '{"severity":"LOUD","message":"a","severity":9,"attributes":{"a":{}},"attributes":{"b":1},"message":null,"logger":7,"logger":"l"}',
    );
    assert.deepEqual(
      [record.severity, record.message, record.logger, readAttributes(record.attributes)],
      [9, "", "l", { b: 1n }],
    );
  });

  test("a byte order mark, space anywhere, keys with escapes, declarations", () => {
    const json =
      '\ufeff {\t"batch" : { "device_id":"a" , "session_id":"s","sequence":3, "dropped":{"last_sequence":"9","reason":"full \\u0021"}}\r\n, "reportCommitted":{"device_id":"a","sessionId":"s"} } ';
    const { batch, reportCommitted, sequence } = readJsonRequest(Buffer.from(json));
    assert.deepEqual(scan(batch!).dropped, { lastSequence: 9n, reason: "full !" });
    assert.equal(sequence, 3n);
    assert.deepEqual(reportCommitted, { deviceId: "a", sessionId: "s" });
    assert.equal(recordOf('{"mess\\u0061ge":"m"}').message, "m");
    assert.deepEqual(readJsonSessionName(Buffer.from('{"deviceId":"a","session_id":"s","x":[]}')), {
      deviceId: "a",
      sessionId: "s",
    });
  });
});

describe("rejects a record alone, with its text, for", () => {
  for (const [json, reason] of [
    ['{"severity":"LOUD"}', /^severity is "LOUD", expected a name such as WARN or a number from 0 to 24$/],
    ['{"severity":1.5}', /^severity is "1.5"/],
    ['{"severity":[13]}', /^severity is "\[13\]"/],
    ['{"timeUnixNano":-1}', /^time_unix_nano is "-1", expected nanoseconds since 1970 or RFC 3339/],
    ['{"timeUnixNano":"18446744073709551616"}', /^time_unix_nano is "18446744073709551616"/],
    ['{"timeUnixNano":1700000000.5}', /^time_unix_nano is "1700000000.5"/],
    ['{"timeUnixNano":"2023-02-29T00:00:00Z"}', /^time_unix_nano is "2023-02-29/],
    ['{"timeUnixNano":"2023-02-28T00:00:00"}', /^time_unix_nano is/],
    ['{"timeUnixNano":"1969-12-31T23:59:59Z"}', /^time_unix_nano is/],
    ['{"timeUnixNano":true}', /^time_unix_nano is "true"/],
    ['{"message":42}', /^message is "42", expected a string$/],
    ['{"message":{"text":"x"}}', /^message is/],
    ['{"logger":["x"]}', /^logger is/],
    ['{"traceId":"0af7"}', /^trace_id is "0af7", expected 32 hex digits, or 16 bytes in base64$/],
    [`{"traceId":"${"g".repeat(32)}"}`, /^trace_id is "g+", expected 32 hex/],
    [`{"trace_id":"${"A".repeat(4000)}"}`, /^trace_id is "A+"…, expected 32 hex/],
    ['{"traceId":7}', /^trace_id is "7", expected 32 hex/],
    [
      '{"spanId":"0af7651916cd43dd8448eb211c80319c"}',
      /^span_id is "0af.*", expected 16 hex digits, or 8 bytes/,
    ],
    ['{"eventName":1}', /^event_name is "1", expected a string$/],
    ['{"attributes":7}', /^attributes is "7", expected an object, or a list of attributes$/],
    ['{"attributes":["x"]}', /^attributes\[0\] is "x", expected an object with key and a value$/],
    ['{"attributes":{"a":1e999}}', /^attributes\["a"\] is "1e999", expected a number of at most 1.8e308$/],
    ['{"attributes":[{},{"key":"b","intValue":1.5}]}', /^attributes\[1\] is "1.5", expected an integer of/],
    ['{"attributes":[{"intValue":"9223372036854775808"}]}', /expected an integer of 64 bits$/],
    ['{"attributes":[{"boolValue":"true"}]}', /^attributes\[0\] is "true", expected true or false$/],
    ['{"attributes":[{"stringValue":[]}]}', /^attributes\[0\] is an array, expected a string$/],
    ['{"attributes":[{"key":7}]}', /^attributes\[0\] is "7", expected a string$/],
    ['{"uptimeNano":-1}', /^uptime_nano is "-1", expected nanoseconds since the boot$/],
    ['{"observedTimeUnixNano":"now"}', /^observed_time_unix_nano is "now", expected nanoseconds since 1970/],
    ['{"severityText":1}', /^severity_text is "1", expected a string$/],
    ['{"attributes":{"a":{"b":1}}}', /^attributes\["a"\] is an object, expected a string/],
    [`{"attributes":{${Array.from({ length: 65 }, (_, n) => `"k${n}":1`).join()}}}`, /has 65 entries.*64$/],
    ["null", /^record is null, expected an object$/],
    ['"text"', /^record is a string/],
    ["[{}]", /^record is an array/],
  ] as const) {
    test(json.slice(0, 60), () => {
      const batch = scanned(`{"message":"before"}, ${json} ,{"message":"after"}`);
      assert.equal(batch.acceptedCount, 2);
      const [rejection] = batch.rejections;
      assert.equal(rejection?.index, 1);
      assert.match(rejection.reason, reason);
      assert.equal(rejectedBytes(batch, rejection).toString(), json);
      assert.equal(rejection.unreadable?.jsonBytes, json.length);
    });
  }

  test("what no text can be: NUL, bytes that are not UTF-8, too much of it", () => {
    const batch = scanned(`{"message":"\\u0000"},{"message":"\xff"},{"logger":"${"l".repeat(257)}"},{}`);
    assert.deepEqual(
      batch.rejections.map(({ reason }) => reason),
      [
        "message has a NUL at byte 0, which PostgreSQL cannot store",
        "message is not UTF-8 at byte 0",
        "logger is 257 bytes long, the limit is 256",
      ],
    );
  });
});

describe("refuses the whole request, with the sequence that it can read, for", () => {
  const record = `{"message":"${"m".repeat(1_000)}"}`;
  for (const [what, json, field, problem] of [
    [
      "10,001 records",
      batchWith(Array.from({ length: 10_001 }, () => "{}").join()),
      "batch.records",
      /10000/,
    ],
    [
      "10,001 records in two arrays",
      batchWith(`${Array.from({ length: 10_000 }, () => "{}").join()}],"records":[{}`),
      "batch.records",
      /10000/,
    ],
    [
      "a wrong value in a batch that does not count",
      `{"batch":{"records":7},${batchWith("{}").slice(1)}`,
      "batch.records",
      /an array/,
    ],
    [
      "an attribute of the batch that is none",
      batchWith('{}],"attributes":{"a":{}},"x":['),
      'batch.attributes["a"]',
      /is an object, expected a string, a number/,
    ],
    [
      "65 attributes of the batch",
      batchWith(`{}],"attributes":{${Array.from({ length: 65 }, (_, n) => `"k${n}":1`).join()}},"x":[`),
      "batch.attributes",
      /65 entries.*64$/,
    ],
    ["a device that is none", batchWith('{}],"device":"x","x":['), "batch.device", /expected an object$/],
    [
      "a firmware that is none",
      batchWith('{}],"device":{"firmware":2.1},"x":['),
      "batch.device.firmware",
      /is "2.1", expected a string$/,
    ],
    [
      "an attribute of the device that is none",
      batchWith('{}],"device":{"attributes":{"a":[]}},"x":['),
      'batch.device.attributes["a"]',
      /is an array, expected a string, a number/,
    ],
    ["more than 1 MiB", batchWith(Array.from({ length: 1_100 }, () => record).join()), "batch", /1048576/],
    ["records that are none", batchWith("{]"), "request", /not JSON/],
    ["a comma too many", batchWith("{},"), "request", /a value is missing/],
    ["a control character", batchWith('{"message":"\n"}'), "request", /a control character in a string/],
    ["an unknown escape", batchWith('{"message":"\\x"}'), "request", /an unknown escape/],
    ["a number that is none", batchWith('{"attributes":{"a":01}}'), "request", /a comma is missing/],
    ["characters after the end", `${batchWith("{}")}{}`, "request", /characters after the end/],
    ["more than 4 MiB of JSON", batchWith(" ".repeat(limits.jsonBytesMax)), "request", /4194304/],
    ["too deep a nesting", batchWith("[".repeat(100)), "request", /more than 64/],
  ] as const) {
    test(what, () => {
      const { batch, error, sequence } = readJsonRequest(Buffer.from(json));
      assert.equal(batch, undefined);
      assert.equal(error?.field, field);
      assert.match(error.message, problem);
      assert.equal(sequence, what.endsWith("of JSON") ? 0n : 77n);
    });
  }

  test("more than 1 MiB, where the sequence stands behind the records", () => {
    const json = `{"batch":{"records":[${Array.from({ length: 1_100 }, () => record).join()}],"sequence":"78"}}`;
    assert.equal(readJsonRequest(Buffer.from(json)).sequence, 78n);
  });
});

test("keeps 64 KiB of the texts of rejected records, and says how long each was", () => {
  const text = `{"severity":"LOUD","message":"${"m".repeat(40_000)}"}`;
  const batch = scanned(`${text},${text},${text}`);
  assert.deepEqual(
    batch.rejections.map((rejection) => rejectedBytes(batch, rejection).length),
    [text.length, 65_536 - text.length, 0],
  );
  assert.deepEqual(
    batch.rejections.map(({ unreadable }) => unreadable?.jsonBytes),
    [text.length, text.length, text.length],
  );
});

test("nothing of a request is left for the next one", () => {
  const first = scanned('{"message":"first","attributes":{"a":"1"}},{"severity":"LOUD"}');
  const second = readJsonRequest(requestOf('{"message":"second"}')).batch;
  assert.equal(fromBinary(LogBatchSchema, first.bytes).records[0]?.message, "first");
  assert.deepEqual(fromBinary(LogBatchSchema, second!).records[0]?.attributes, []);
});

function batchWith(records: string): string {
  return `{"batch":{"deviceId":"a","sessionId":"s","sequence":"77","records":[${records}]}}`;
}
