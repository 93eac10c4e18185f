import assert from "node:assert/strict";
import { test } from "node:test";
import { create, toBinary } from "@bufbuild/protobuf";
import { scan } from "#batch/scan.ts";
import { attribute, bytesField, encodeRecord } from "#batch/testing/wire.ts";
import { readAttributes } from "#proto/attributes.ts";
import { LogBatchSchema } from "#proto/gen/fleetlog/v1/log_pb.ts";
import { readJsonRecord } from "./read-json-record.ts";
import { marks, repairRecord } from "./repair-record.ts";

const marked = { deadLetter: "7", origin: "boot-1 3 0" };
const receivedAtMicros = 1_760_000_000_000_001;
const repair = (bytes: Uint8Array) => {
  const repaired = repairRecord(bytes, receivedAtMicros, marked);
  const batch = create(LogBatchSchema, { deviceId: "a", records: [repaired.record] });
  assert.deepEqual(scan(toBinary(LogBatchSchema, batch)).rejections, []);
  return repaired;
};

const cases: [what: string, bytes: Uint8Array, repairs: string[], message: string][] = [
  ["NUL", encodeRecord({ message: "a\0b" }), ["message: NUL is replaced"], "a\uFFFDb"],
  [
    "no UTF-8",
    encodeRecord({ message: Buffer.from([0x61, 0xff, 0x62]) }),
    ["message: invalid UTF-8 is replaced"],
    "a\uFFFDb",
  ],
  [
    "a message that is too long, cut between characters",
    encodeRecord({ message: `${"x".repeat(65_535)}ü!` }),
    ["message: truncated from 65538 bytes"],
    "x".repeat(65_535),
  ],
  ["a severity there is not", encodeRecord({ severity: 99, message: "m" }), ["severity: was 99"], "m"],
  [
    "an attribute without a name",
    Buffer.concat([encodeRecord({ message: "m" }), attribute("", "v")]),
    ["attributes: 1 without a name are removed"],
    "m",
  ],
  [
    "65 attributes",
    Buffer.concat([
      encodeRecord({ message: "m" }),
      ...Array.from({ length: 65 }, (_, index) => attribute(`k${index}`, "v")),
    ]),
    ["attributes: 4 of 65 are removed"],
    "m",
  ],
  [
    "an id of another length",
    encodeRecord({ message: "m", traceId: Buffer.alloc(15, 1) }),
    ["trace_id: 15 bytes, expected 16, are left out"],
    "m",
  ],
  [
    "a name of an event that is too long",
    encodeRecord({ message: "m", eventName: "e".repeat(300) }),
    ["event_name: truncated from 300 bytes"],
    "m",
  ],
  [
    "the beginning of a record",
    bytesField(4, "cut off").subarray(0, 5),
    ["only the first 5 bytes were kept"],
    "cut",
  ],
  ["nothing wrong with it", encodeRecord({ message: "m" }), [], "m"],
];

for (const [what, bytes, repairs, message] of cases) {
  test(`repairs ${what}, and says so`, () => {
    const repaired = repair(bytes);
    assert.deepEqual(repaired.repairs, repairs);
    assert.equal(repaired.record.message, message);
    assert.equal(readAttributes(repaired.record.attributes)[marks.deadLetter], "7");
    assert.equal(readAttributes(repaired.record.attributes)[marks.origin], "boot-1 3 0");
    assert.equal(
      readAttributes(repaired.record.attributes)[marks.repairs],
      repairs.length > 0 ? repairs.join("; ") : undefined,
    );
  });
}

test("keeps valid fields, and sets a missing time", () => {
  const own = attribute("__proto__", "kept");
  const { record } = repair(
    Buffer.concat([
      encodeRecord({ message: "\0", severity: 17, logger: "net" }),
      own,
      encodeRecord({ traceId: Buffer.alloc(16, 1), spanId: Buffer.alloc(8, 2), eventName: "boot" }),
    ]),
  );
  assert.deepEqual([record.traceId[15], record.spanId[7], record.eventName], [1, 2, "boot"]);
  assert.deepEqual([record.severity, record.logger], [17, "net"]);
  assert.equal(record.timeUnixNano, BigInt(receivedAtMicros) * 1000n);
  assert.equal(
    Object.getOwnPropertyDescriptor(readAttributes(record.attributes), "__proto__")?.value,
    "kept",
  );
  const timed = repair(encodeRecord({ message: "\0", timeUnixNano: 5_000n }));
  assert.equal(timed.record.timeUnixNano, 5_000n);
});

const json = (traceId: string) => Buffer.from(`{"message":"m","traceId":"${traceId}","severity":"LOUD"}`);

test("takes ids from JSON in hex and in base64, and leaves out what is none", () => {
  for (const text of ["01".repeat(16), Buffer.alloc(16, 1).toString("base64")]) {
    const { record, repairs } = repairRecord(readJsonRecord(json(text)), receivedAtMicros, marked);
    assert.deepEqual([record.traceId.length, record.traceId[0], repairs], [16, 1, ["severity: was LOUD"]]);
  }
  const { record, repairs } = repairRecord(readJsonRecord(json("7")), receivedAtMicros, marked);
  assert.deepEqual([record.traceId.length, repairs], [0, ["trace_id: was 7", "severity: was LOUD"]]);
});

test("throws for what is no record", () => {
  assert.throws(() => repair(Buffer.from([0xff, 0xff, 0xff])));
});

test("keeps the types of attributes, uptime and observed time, from protobuf and from JSON", () => {
  const typed = { text: "x", yes: true, long: 2n ** 62n + 1n, half: 0.5, nothing: null };
  const binary = Buffer.concat([
    encodeRecord({
      message: "\0",
      uptimeNano: 7n,
      observedTimeUnixNano: 5_000n,
      attributes: Object.entries(typed),
    }),
  ]);
  const object = `{"text":"x","yes":true,"long":${typed.long},"half":0.5,"nothing":null}`;
  const list = `[{"key":"text","stringValue":"x"},{"key":"yes","boolValue":true},{"key":"long","intValue":${typed.long}},
    {"double_value":0.5,"key":"half"},{"key":"nothing","x":1}]`;
  const texts = [object, list].map(
    (attributes) =>
      `{"message":1,"uptimeNano":"7","observed_time_unix_nano":5000,"attributes":${attributes}}`,
  );
  for (const sent of [binary, ...texts.map((text) => readJsonRecord(Buffer.from(text)))]) {
    const { record } = repairRecord(sent, receivedAtMicros, marked);
    const attributes = readAttributes(record.attributes);
    for (const name of Object.values(marks)) delete attributes[name];
    assert.deepEqual(attributes, typed);
    assert.deepEqual(
      [record.uptimeNano, record.observedTimeUnixNano, record.timeUnixNano],
      [7n, 5_000n, 5_000n],
    );
  }
  const { record, repairs } = repair(encodeRecord({ message: "m", uptimeNano: 2n ** 63n }));
  assert.deepEqual([record.uptimeNano, repairs], [0n, ["uptime_nano: was 9223372036854775808"]]);
});
