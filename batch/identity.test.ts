import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { equals, fromBinary, toBinary } from "@bufbuild/protobuf";
import * as fc from "fast-check";
import { type LogBatch, LogBatchSchema } from "#proto/gen/fleetlog/v1/log_pb.ts";
import { canonicalForm } from "./canonical-form.ts";
import { digest } from "./digest.ts";
import { InvalidBatchError } from "./invalid-batch.ts";
import { limits } from "./limits.ts";
import { type ScannedBatch, scan } from "./scan.ts";
import { anyBatch, toMessage } from "./testing/arbitrary-batch.ts";
import { mutated } from "./testing/mutated.ts";
import { Random } from "./testing/random.ts";
import { randomBatch } from "./testing/random-batch.ts";
import { type BatchMeaning, type RecordMeaning, reEncode } from "./testing/re-encode.ts";
import { isEncodingError } from "./testing/row.ts";
import { attribute, bytesField, encodeBatch, encodeRecord } from "./testing/wire.ts";

// What decodes equal is the same batch: it has one digest, whatever its bytes, and nothing else has it.

const seed = fc.nat().map((number) => new Random(number));

describe("the digest of a batch", () => {
  test("is the same however protobuf lets it be encoded", () => {
    let canonicalCount = 0;
    fc.assert(
      fc.property(anyBatch, seed, seed, (batch, one, other) => {
        const first = reEncode(one, batch);
        const second = reEncode(other, batch);
        assert.ok(decodeEqual(first, second), "the encodings are of one batch");
        const expected = digest(scan(toBinary(LogBatchSchema, toMessage(batch))));
        assert.deepEqual(digest(scan(first)), expected);
        assert.deepEqual(digest(scan(second)), expected);
        if (scan(first).isCanonical) canonicalCount += 1;
      }),
      { numRuns: 3_000 },
    );
    assert.ok(canonicalCount > 0 && canonicalCount < 1_500, `${canonicalCount} were canonical already`);
  });

  test("is the same as long as only the order of attributes differs, as generated clients have it", () => {
    fc.assert(
      fc.property(anyBatch, seed, seed, (batch, one, other) => {
        const [first, second] = [reEncode(one, batch, "tame"), reEncode(other, batch, "tame")];
        assert.deepEqual(digest(scan(first)), digest(scan(second)));
      }),
      { numRuns: 1_000 },
    );
  });

  test("is another one after any change of what the batch means", () => {
    fc.assert(
      fc.property(anyBatch, anyBatch, fc.nat(), seed, seed, (batch, other, which, one, two) => {
        const changed = changeOne(batch, other, which);
        const [first, second] = [reEncode(one, batch), reEncode(two, changed)];
        assert.equal(digest(scan(first)).equals(digest(scan(second))), meanSame(first, second));
      }),
      { numRuns: 3_000 },
    );
  });

  test("is the same exactly when protobuf-es decodes the same and as much is accepted, for 8,000 mutated batches", () => {
    const random = new Random(5);
    let [same, different] = [0, 0];
    for (let round = 0; round < 8_000; round++) {
      const sent = randomBatch(random).bytes;
      const mutant = mutated(random, sent, randomBatch(random).bytes);
      const [first, second] = [scanOrRefuse(sent), scanOrRefuse(mutant)];
      if (first === undefined || second === undefined) continue;
      const isSame = decodeEqual(sent, mutant);
      if (isSame === undefined) continue;
      const expected = isSame && rejectedIndexes(first) === rejectedIndexes(second);
      const hex = `${sent.toString("hex")} ${mutant.toString("hex")}`;
      assert.equal(digest(first).equals(digest(second)), expected, hex);
      if (expected) same += 1;
      else different += 1;
    }
    assert.ok(same > 50 && different > 500, `${same} the same, ${different} different`);
  });

  test("is that of the last attribute where a name stands twice, side by side in an encoding that is canonical but for that", () => {
    for (const name of ["a", longName(1)]) {
      const twice = [
        [name, "first"],
        [name, "last"],
        ["z", ""],
      ] as const;
      assert.equal(digestOfRecordWith(twice), digestOfRecordWith(twice.slice(1)));
    }
  });

  test("does not depend on the order of attributes in a record that has too many, and tells others apart", () => {
    const random = new Random(6);
    const attributes = Array.from({ length: 300 }, (_, place): [string, string] => [
      `name ${place}`,
      `value ${place}`,
    ]);
    assert.equal(scan(encodeBatch({ records: [encodeRecord({ attributes })] })).rejections.length, 1);
    for (let round = 0; round < 20; round++)
      assert.equal(digestOfRecordWith(random.shuffle(attributes)), digestOfRecordWith(attributes));
    const others = [
      attributes.slice(1),
      attributes.with(7, ["name 7", "value 8"]),
      attributes.with(7, ["name", " 7value 7"]),
      attributes.with(7, ["value 7", "name 7"]),
      [...attributes, attributes[0]!],
      attributes.map(([key], place) => [key, `value ${299 - place}`] as const),
    ];
    assert.equal(new Set([attributes, ...others].map(digestOfRecordWith)).size, 1 + others.length);
  });

  test("tells records apart that could not be read as JSON", () => {
    const texts = ['{"message":1}', '{"message":2}', '{"message":1}'];
    const [one, other, again] = texts.map((text) => {
      const unreadable = bytesField(6, Buffer.concat([bytesField(1, text), bytesField(3, "why")]));
      return digest(scan(encodeBatch({ records: [unreadable] })));
    });
    assert.notDeepEqual(one, other);
    assert.deepEqual(one, again);
  });

  test("tells a batch with a rejected record from one that decodes equal and has it accepted", () => {
    const [many, few] = [limits.attributesMax + 1, 1].map((count) => {
      const attributes = Array.from({ length: count }, () => ["name", "value"] as const);
      return scan(encodeBatch({ records: [encodeRecord({ attributes })] }));
    });
    assert.ok(decodeEqual(many!.bytes, few!.bytes));
    assert.deepEqual([many!.acceptedCount, few!.acceptedCount], [0, 1]);
    assert.notDeepEqual(digest(many!), digest(few!));
  });
});

test("a record without ids and event has the digest that it had before there were any", () => {
  const bytes = encodeBatch({
    records: [
      encodeRecord({
        severity: 9,
        logger: "net",
        message: "up",
        attributes: [
          ["b", "2"],
          ["a", "1"],
        ],
      }),
    ],
  });
  assert.equal(digest(scan(bytes)).toString("hex"), "93b520958e7a2a51ff2b65e1037dc393");
  const zeros = encodeRecord({
    message: "m",
    traceId: Buffer.alloc(16),
    spanId: Buffer.alloc(8),
    eventName: "",
  });
  const none = encodeRecord({ message: "m" });
  assert.deepEqual(
    digest(scan(encodeBatch({ records: [zeros] }))),
    digest(scan(encodeBatch({ records: [none] }))),
  );
});

describe("the canonical form", () => {
  test("is canonical itself, and means what the batch means", () => {
    fc.assert(
      fc.property(anyBatch, seed, (batch, random) => {
        const form = Buffer.from(canonicalForm(scan(reEncode(random, batch))));
        const again = scan(form);
        assert.ok(again.isCanonical);
        assert.deepEqual(canonicalForm({ ...again, isCanonical: false }), form);
        assert.ok(meanSame(form, toBinary(LogBatchSchema, toMessage(batch))));
      }),
      { numRuns: 2_000 },
    );
  });

  test("costs CPU in proportion to the bytes, whatever is in them", () => {
    const random = new Random(7);
    const names = random.shuffle(Array.from({ length: limits.attributesMax }, (_, place) => `key-${place}`));
    const honest = batchOf(encodeRecord({ message: "m", attributes: names.map((name) => [name, "v"]) }));
    const hostile = [
      [
        "an attribute with nothing in it, again and again",
        batchOf(Buffer.alloc(60_000, Buffer.from([0x2a, 0]))),
      ],
      ["attributes beyond the limit", batchOf(backwards(9_000, longName))],
      [
        "as many as allowed, backwards, with long names that differ at the end",
        batchOf(backwards(64, longName)),
      ],
      [
        "as many as allowed, backwards, in as many records as fit",
        batchOf(backwards(64, (place) => Buffer.from([place]))),
      ],
      ["records with nothing in them, explicitly", batchOf(Buffer.from([0x10, 0]))],
    ] as const;
    const unit = cpuMicros(honest);
    for (const [what, batch] of hostile) {
      const ratio = cpuMicros(batch) / unit;
      assert.ok(ratio < 5, `${what}: ${ratio.toFixed(1)} times a batch of as many attributes as allowed`);
    }
  });
});

/** The batch with one thing of `other` in it; nothing may come of it. */
function changeOne(batch: BatchMeaning, other: BatchMeaning, which: number): BatchMeaning {
  const { records } = batch;
  const place = which % Math.max(1, records.length);
  const [record, donor] = [records[place], other.records[0]];
  if (record === undefined || donor === undefined)
    return batch.dropped ? { ...batch, deviceId: "host-2" } : batch;
  const replaced = (change: Partial<RecordMeaning>) => ({
    ...batch,
    records: records.with(place, { ...record, ...change }),
  });
  switch (which % 12) {
    case 0:
      return { ...batch, deviceId: other.deviceId };
    case 1:
      return replaced({ timeUnixNano: donor.timeUnixNano });
    case 2:
      return replaced({ severity: donor.severity });
    case 3:
      return replaced({ logger: donor.logger });
    case 4:
      return replaced({ message: donor.message });
    case 5:
      return replaced({ attributes: record.attributes.slice(1) });
    case 6: // two values change places
      return replaced({ attributes: record.attributes.map(([key], at, all) => [key, all.at(at - 1)![1]]) });
    case 7:
      return { ...batch, records: records.toReversed() };
    case 8:
      return { ...batch, attributes: other.attributes };
    case 9:
      return { ...batch, device: other.device };
    case 10: // nothing is another value than an empty text
      return replaced({
        attributes: record.attributes.map(([key, value]) => [key, value === "" ? null : value]),
      });
    default: // what is in one field moves to the next
      return replaced({ logger: record.message.slice(0, 8), message: record.logger });
  }
}

/** By protobuf-es; undefined where it refuses one of them for a text that is not UTF-8. */
function decodeEqual(first: Uint8Array, second: Uint8Array): boolean | undefined {
  try {
    const [one, other] = [first, second].map(decodeBatch);
    return equals(LogBatchSchema, one!, other!);
  } catch (error) {
    if (isEncodingError(error)) return undefined;
    throw error;
  }
}

/**
 * An id of nothing but zeros is none; attributes are by name, the last one of a repeated name; and equals() takes no NaN
 * for another.
 */
function decodeBatch(bytes: Uint8Array): LogBatch {
  const batch = fromBinary(LogBatchSchema, bytes, { readUnknownFields: false });
  for (const message of [batch, ...batch.records, ...(batch.device ? [batch.device] : [])]) {
    const byName = new Map(message.attributes.map((attribute) => [attribute.key, attribute]));
    message.attributes = [...byName.values()].toSorted((a, b) => (a.key < b.key ? -1 : 1));
    for (const { value } of message.attributes) {
      if (value.case === "doubleValue" && Number.isNaN(value.value)) value.value = 1.2345e-300;
    }
  }
  for (const record of batch.records) {
    if (record.traceId.length === 16 && !record.traceId.some(Boolean)) record.traceId = new Uint8Array();
    if (record.spanId.length === 8 && !record.spanId.some(Boolean)) record.spanId = new Uint8Array();
  }
  return batch;
}

/** As {@link decodeEqual}, where a declaration without an end ends with its own number. */
function meanSame(first: Uint8Array, second: Uint8Array): boolean {
  const [one, other] = [first, second].map((bytes) => {
    const batch = decodeBatch(bytes);
    if (batch.dropped) batch.dropped.lastSequence ||= batch.sequence;
    return batch;
  });
  return equals(LogBatchSchema, one!, other!);
}

function scanOrRefuse(bytes: Buffer): ScannedBatch | undefined {
  try {
    return scan(bytes);
  } catch (error) {
    assert.ok(error instanceof InvalidBatchError);
    return undefined;
  }
}

function rejectedIndexes({ rejections }: ScannedBatch): string {
  return rejections.map(({ index }) => index).join();
}

/** Of a batch with one record that has these attributes. */
function digestOfRecordWith(attributes: readonly (readonly [string, string])[]): string {
  return digest(scan(encodeBatch({ records: [encodeRecord({ message: "many", attributes })] }))).toString(
    "hex",
  );
}

/** `count` attributes by descending name. */
function backwards(count: number, name: (place: number) => string | Buffer): Buffer {
  return Buffer.concat(Array.from({ length: count }, (_, place) => attribute(name(count - place), "")));
}

function longName(place: number): string {
  return `${"n".repeat(100)}${place}`;
}

/** As many times the record as a batch takes. */
function batchOf(record: Buffer): Buffer {
  const framed = bytesField(4, record);
  const count = Math.min(limits.recordsMax, Math.floor((limits.batchBytesMax - 100) / framed.length));
  return encodeBatch({ records: Array.from({ length: count }, () => record) });
}

/** User CPU of a scan and a digest, the best of several. */
function cpuMicros(batch: Buffer): number {
  let best = Number.POSITIVE_INFINITY;
  for (let round = 0; round < 7; round++) {
    const before = process.cpuUsage();
    digest(scan(batch));
    best = Math.min(best, process.cpuUsage(before).user);
  }
  return best;
}
