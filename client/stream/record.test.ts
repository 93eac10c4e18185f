import assert from "node:assert/strict";
import { test } from "node:test";
import { create, equals, fromBinary, toBinary } from "@bufbuild/protobuf";
import * as fc from "fast-check";
import { scan } from "#batch/scan.ts";
import { encodeRecord, encodeRequest } from "#client/stream/record.ts";
import { type AttributeValue, createAttributes } from "#proto/attributes.ts";
import { StreamLogsRequestSchema } from "#proto/gen/fleetlog/v1/ingest_pb.ts";
import { LogRecordSchema, Severity } from "#proto/gen/fleetlog/v1/log_pb.ts";

const anyText = fc.string({ unit: "grapheme" });
const anyValue = fc.oneof(
  anyText,
  fc.boolean(),
  fc.integer(),
  fc.bigInt(-(2n ** 63n), 2n ** 63n - 1n),
  fc.double(),
  fc.constant(null),
);
const anyRecord = fc.record({
  timeUnixNano: fc.bigInt(0n, 2n ** 64n - 1n),
  severity: fc.constantFrom(Severity.UNSPECIFIED, Severity.INFO, Severity.FATAL4),
  logger: anyText,
  message: anyText,
  traceId: fc.uint8Array({ maxLength: 16 }),
  spanId: fc.uint8Array({ maxLength: 8 }),
  eventName: anyText,
  attributes: fc.dictionary(anyText, anyValue, { noNullPrototype: true }),
});

function byName(values: Readonly<Record<string, AttributeValue>>) {
  const sorted = Object.entries(values).sort(([a], [b]) => (a < b ? -1 : 1));
  return sorted.flatMap(([name, value]) => createAttributes({ [name]: value }));
}

test("encodes byte for byte as protobuf-es does, with attributes by name", () => {
  fc.assert(
    fc.property(
      fc.array(anyRecord, { maxLength: 20 }),
      fc.bigInt(1n, 2n ** 63n - 2n),
      (records, sequence) => {
        const header = { deviceId: "host-1", sessionId: "boot-7", sequence };
        const ours = encodeRequest(
          header,
          records.map((record) => encodeRecord(record)),
        );
        const messages = records.map(({ attributes, ...record }) =>
          create(LogRecordSchema, { ...record, attributes: byName(attributes) }),
        );
        const message = create(StreamLogsRequestSchema, { batch: { ...header, records: messages } });
        assert.ok(equals(StreamLogsRequestSchema, fromBinary(StreamLogsRequestSchema, ours), message));
        assert.deepEqual(Buffer.from(toBinary(StreamLogsRequestSchema, message)), ours);
      },
    ),
    { seed: 20_261_123, numRuns: 500 },
  );
});

test("sends each kind of attribute value as its own field, whole numbers as integers", () => {
  const attributes = {
    a: "x",
    b: true,
    c: 7,
    d: -0,
    e: 2n ** 63n - 1n,
    f: 0.5,
    g: 2 ** 53,
    h: Number.NaN,
    i: null,
  };
  const { attributes: decoded } = fromBinary(LogRecordSchema, encodeRecord({ message: "m", attributes }));
  assert.deepEqual(
    decoded.map(({ key, value }) => [key, value.case, value.value]),
    [
      ["a", "stringValue", "x"],
      ["b", "boolValue", true],
      ["c", "intValue", 7n],
      ["d", "intValue", 0n],
      ["e", "intValue", 2n ** 63n - 1n],
      ["f", "doubleValue", 0.5],
      ["g", "doubleValue", 2 ** 53],
      ["h", "doubleValue", Number.NaN],
      ["i", undefined, undefined],
    ],
  );
});

test("writes the same bytes for any order of attributes", () => {
  const header = { deviceId: "host-1", sessionId: "boot-7", sequence: 7n };
  const attributes = { zone: "1", "10": "2", build: "", "2": "3" };
  const reversed = Object.fromEntries(Object.entries(attributes).toReversed());
  const [one, other] = [attributes, reversed].map((given) =>
    encodeRequest(header, [encodeRecord({ message: "m", severity: Severity.INFO, attributes: given })]),
  );
  assert.deepEqual(one, other);
  assert.ok(scan(one!.subarray(2)).isCanonical);
});

test("leaves the bytes of a message unchanged, UTF-8 or not", () => {
  const message = Buffer.from([0xff, 0x00, 0xc3, 0x28, 0x0d]);
  const encoded = encodeRecord({ message });
  assert.deepEqual(Buffer.from(encoded), Buffer.from([0x22, message.length, ...message]));
});

test("round-trips text and bytes alike", () => {
  const header = { deviceId: "d", sessionId: "s", sequence: 1n };
  const asText = encodeRequest(header, [encodeRecord({ message: "grüße" })]);
  const asBytes = encodeRequest(header, [encodeRecord({ message: Buffer.from("grüße") })]);
  assert.deepEqual(asText, asBytes);
  assert.equal(fromBinary(StreamLogsRequestSchema, asText).batch?.records[0]?.message, "grüße");
});
