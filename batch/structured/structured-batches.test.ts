import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { fromBinary } from "@bufbuild/protobuf";
import { LogBatchSchema, type LogRecord } from "#proto/gen/fleetlog/v1/log_pb.ts";
import { limits } from "../limits.ts";
import { scan } from "../scan.ts";
import { findRecords } from "./find-records.ts";
import { structuredBatches } from "./structured-batches.ts";

type Separation = Parameters<typeof findRecords>[1];

function read(body: string | Buffer, separation: Separation = "values") {
  const bytes = Buffer.from(body);
  const batches = structuredBatches(bytes, findRecords(bytes, separation), { deviceId: "d" });
  return [...batches]
    .filter((batch) => batch !== undefined)
    .map(({ batch, firstIndex }) => ({
      firstIndex,
      bytes: batch,
      records: fromBinary(LogBatchSchema, batch).records,
    }));
}

function messagesOf(body: string, separation?: Separation): readonly string[] {
  return read(body, separation).flatMap(({ records }) => records.map(({ message }) => message));
}

function readOne(record: unknown): LogRecord {
  const [batch] = read(typeof record === "string" ? record : JSON.stringify(record));
  assert.equal(batch?.records.length, 1);
  return batch.records[0]!;
}

function attributesOf({ attributes }: LogRecord): Record<string, unknown> {
  return Object.fromEntries(attributes.map(({ key, value }) => [key, [value.case, value.value]]));
}

const nanos = 1_764_262_862_123_456_789n;

describe("a time is read from", () => {
  for (const [value, expected] of [
    ['"2025-11-27T17:01:02.123456789Z"', nanos],
    ['"2025-11-27T18:01:02.123+01:00"', nanos - 456_789n],
    ["1764262862", 1_764_262_862_000_000_000n],
    ['"1764262862"', 1_764_262_862_000_000_000n],
    ["1764262862.123456", nanos - 789n], // Fluent Bit
    ["1764262862123", nanos - 456_789n], // pino
    ["1764262862123456", nanos - 789n],
    ["1764262862123456789", nanos], // more digits than a double has
  ] as const) {
    test(value, () => {
      for (const name of ["time", "timestamp", "@timestamp", "date", "ts"])
        assert.equal(readOne(`{"${name}":${value}}`).timeUnixNano, expected);
    });
  }

  for (const value of ['"noon"', "12.5", '"2025-11-27 17:01:02"', "true", "null", '"99999999999"']) {
    test(`nothing in ${value}, which stays an attribute`, () => {
      const record = readOne(`{"time":${value}}`);
      assert.equal(record.timeUnixNano, 0n);
      assert.deepEqual(Object.keys(attributesOf(record)), value === "null" ? [] : ["time"]);
    });
  }
});

describe("a severity is read from", () => {
  for (const [field, number, text] of [
    ['"level":"WARN"', 13, ""],
    ['"level":"info"', 9, ""],
    ['"severity":"notice"', 10, "notice"],
    ['"lvl":"warning"', 13, "warning"],
    ['"level":50', 17, ""], // pino
    ['"PRIORITY":"3"', 17, "3"], // journald
    ['"severity_number":11', 11, ""],
    ['"log":{"level":"error"}', 17, ""], // ECS
  ] as const) {
    test(field, () => {
      const record = readOne(`{${field}}`);
      assert.deepEqual([record.severity, record.severityText], [number, text]);
      assert.deepEqual(attributesOf(record), {});
    });
  }

  test("no unknown word, which stays an attribute", () => {
    const record = readOne({ level: "audit", s: 3 });
    assert.equal(record.severity, 0);
    assert.deepEqual(attributesOf(record), { level: ["stringValue", "audit"], s: ["intValue", 3n] });
  });
});

test("message, logger, trace, span and event are found under their usual names", () => {
  for (const name of ["message", "msg", "log", "body"]) assert.equal(readOne({ [name]: "hi" }).message, "hi");
  const record = readOne({
    msg: "second",
    message: "first",
    logger: "net.wifi",
    trace_id: "0af7651916cd43dd8448eb211c80319c",
    span: { id: "b7ad6b7169203331" },
    event_name: "device.boot",
  });
  assert.deepEqual([record.message, record.logger, record.eventName], ["first", "net.wifi", "device.boot"]);
  assert.equal(Buffer.from(record.traceId).toString("hex"), "0af7651916cd43dd8448eb211c80319c");
  assert.equal(Buffer.from(record.spanId).toString("hex"), "b7ad6b7169203331");
  assert.deepEqual(attributesOf(record), { msg: ["stringValue", "second"] });
});

test("a text alone is a message", () => {
  assert.equal(readOne('"hello"').message, "hello");
});

test("every other field is an attribute of its type, and of nested objects under a dotted name", () => {
  const record = readOne(
    String.raw`{"a":"t\u00e9xt\n","b":true,"c":false,"d":-7,"e":9007199254740993,"f":21.5,"g":null,"h":1e3,
      "i":18446744073709551616,"j":1e999,"k":{"l":{"m":1}},"n":[1, {"o":2}],"p":{},"__proto__":{"q":"r"}}`,
  );
  assert.deepEqual(attributesOf(record), {
    a: ["stringValue", "téxt\n"],
    b: ["boolValue", true],
    c: ["boolValue", false],
    d: ["intValue", -7n],
    e: ["intValue", 9_007_199_254_740_993n],
    f: ["doubleValue", 21.5],
    h: ["doubleValue", 1_000],
    i: ["doubleValue", 2 ** 64],
    j: ["stringValue", "1e999"],
    "k.l.m": ["intValue", 1n],
    n: ["stringValue", '[1, {"o":2}]'],
    "__proto__.q": ["stringValue", "r"],
  });
});

test("of two fields of one name the last counts", () => {
  const record = readOne('{"a":1,"message":"x","a":2,"message":"y"}');
  assert.equal(record.message, "y");
  assert.deepEqual(attributesOf(record), { a: ["intValue", 2n] });
});

describe("nested objects are kept as JSON where dotted names would exceed", () => {
  test("the number of attributes", () => {
    const labels = Object.fromEntries(Array.from({ length: 70 }, (_, index) => [`l${index}`, index]));
    const record = readOne({ message: "x", labels, pod: "p" });
    assert.deepEqual(attributesOf(record), {
      labels: ["stringValue", JSON.stringify(labels)],
      pod: ["stringValue", "p"],
    });
  });

  test("the length of a name", () => {
    const deep = { ["n".repeat(100)]: { ["m".repeat(100)]: 1 } };
    const attributes = attributesOf(readOne({ ...deep, a: { b: 1 } }));
    assert.equal(attributes["a"]?.toString(), 'stringValue,{"b":1}');
  });

  test("eight levels", () => {
    const attributes = attributesOf(readOne('{"a":{"a":{"a":{"a":{"a":{"a":{"a":{"a":{"b":1}}}}}}}}}'));
    assert.deepEqual(attributes, { "a.a.a.a.a.a.a.a": ["stringValue", '{"b":1}'] });
  });
});

describe("a body has its records", () => {
  test("in an array, one after the other, in lines, or is one record over several lines", () => {
    const [a, b] = ['{"msg":"a"}', '{"msg":"b"}'];
    for (const body of [
      `[${a},${b}]`,
      ` [\n${a} ,\n${b}\n]\n`,
      `${a}${b}`,
      `${a}\n${b}`,
      `${a}\r\n\r\n${b}\r\n`,
    ])
      assert.deepEqual(messagesOf(body), ["a", "b"], body);
    assert.deepEqual(messagesOf(`${a}\n${b}\n`, "lines"), ["a", "b"]);
    assert.deepEqual(messagesOf(`[${a}][${b}]`), ["a", "b"]);
    assert.deepEqual(messagesOf('{\n  "msg": "a"\n}'), ["a"]);
    assert.deepEqual(messagesOf("\ufeff[]"), []);
  });

  test("and blank lines cost little more than what they are between", () => {
    const size = 4 * 1024 * 1024;
    const cost = (blank: string) => {
      const body = Buffer.concat([Buffer.from("{}"), Buffer.alloc(size, blank), Buffer.from("\n{}")]);
      return Math.min(
        ...Array.from({ length: 5 }, () => {
          const { user } = process.cpuUsage();
          assert.equal(findRecords(body, "lines").length, 2);
          return process.cpuUsage().user - user;
        }),
      );
    };
    const spaces = cost(" ".repeat(1_024).concat("\n"));
    for (const blank of ["\n", "\r\n", " \n"])
      assert.ok(cost(blank) < 5 * spaces + 1_000, JSON.stringify(blank));
  });

  test("and a line that is none leaves its neighbours as they are", () => {
    for (const separation of ["lines", "values"] as const) {
      const [batch] = read('{"msg":"a"}\n{"msg":\n7\n{"msg":"b"} x\n{"msg":"c"}', separation);
      const scanned = scan(batch!.bytes);
      assert.deepEqual(
        scanned.rejections.map(({ index, reason }) => [index, reason]),
        [
          [1, "record is not JSON: a value is missing, at byte 7"],
          [2, "record is a number, expected an object"],
          [3, "record is not JSON: characters after the end, at byte 12"],
        ],
      );
      assert.equal(Buffer.from(batch!.records[1]!.unreadable!.json).toString(), '{"msg":');
      assert.equal(scanned.acceptedCount, 2);
    }
  });

  test("or is refused as a whole", () => {
    assert.throws(() => read(" \n"), /request is empty/);
    assert.throws(() => read('[{"msg":"a"},'), /request is not JSON: a value is missing, at byte 13/);
    assert.throws(() => read('[{"msg":"a"}],{}'), /request is not JSON: a value is missing, at byte 13/);
    assert.throws(() => read("{}".repeat(100_001)), /more than 100000 records/);
    assert.throws(() => read("{}\n".repeat(100_001), "lines"), /more than 100000 records/);
    assert.throws(() => read(`[${"{},".repeat(100_001)}{}]`), /more than 100000 records/);
    assert.throws(() => read(`[${"[1,1,1,1,1,1,1,1,1,1],".repeat(190_000)}1]`), /more than/);
  });
});

describe("a request larger than a batch becomes several", () => {
  test("of at most 10,000 records", () => {
    const batches = read('{"msg":"m"}\n'.repeat(25_000));
    assert.deepEqual(
      batches.map(({ firstIndex, records }) => [firstIndex, records.length]),
      [
        [0, 10_000],
        [10_000, 10_000],
        [20_000, 5_000],
      ],
    );
  });

  test("of at most 1 MiB, which the scan accepts", () => {
    const batches = read(`${JSON.stringify({ msg: "m".repeat(60_000) })}\n`.repeat(50));
    assert.equal(batches.length, 3);
    for (const { bytes } of batches) {
      assert.ok(bytes.length <= limits.batchBytesMax);
      assert.equal(scan(bytes).rejections.length, 0);
    }
  });

  test("each with its own bound on the text of what is no record", () => {
    const [first, second] = read(`${`x${" ".repeat(1_000)}\n`.repeat(10_000)}${"y\n".repeat(200)}`, "lines");
    const kept = first!.records.reduce((sum, { unreadable }) => sum + (unreadable?.json.length ?? 0), 0);
    assert.equal(kept, limits.unreadableBytesMax);
    assert.equal(scan(first!.bytes).rejections.length, 10_000);
    assert.match(scan(second!.bytes).rejections[0]?.reason ?? "", /not JSON/);
  });
});

test("large records that are rejected leave pauses for other work, though they fill no batch", () => {
  const attributes = Object.fromEntries(Array.from({ length: 50_000 }, (_, index) => [`key-${index}`, 1]));
  const body = Buffer.from(`${JSON.stringify(attributes)}\n`.repeat(8));
  const given = [...structuredBatches(body, findRecords(body, "lines"), { deviceId: "d" })];
  assert.equal(given.filter((batch) => batch !== undefined).length, 1);
  assert.ok(given.length >= 4, `${given.length}`);
});

test("a record beyond its limits is rejected alone", () => {
  const attributes = Object.fromEntries(Array.from({ length: 90 }, (_, index) => [`l${index}`, index]));
  const bad = [
    { msg: "m".repeat(65_537) },
    attributes,
    { msg: "x".repeat(1_100_000) },
    { ["k".repeat(129)]: 1 },
    { a: "\0" },
  ];
  const batches = read(
    [{ msg: "a" }, ...bad, { msg: "b" }].map((record) => JSON.stringify(record)).join("\n"),
  );
  const scans = batches.map(({ bytes }) => scan(bytes));
  assert.equal(
    scans.reduce((sum, { acceptedCount }) => sum + acceptedCount, 0),
    2,
  );
  assert.deepEqual(
    scans.flatMap(({ rejections }) => rejections.map(({ index }) => index)),
    [1, 2, 3, 4, 5],
  );
});
