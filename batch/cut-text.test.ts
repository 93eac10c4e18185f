import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { batchRecords, decodeRecord } from "./batch-records.ts";
import { digest } from "./digest.ts";
import { InvalidBatchError } from "./invalid-batch.ts";
import { scan } from "./scan.ts";
import { decodeCut } from "./testing/decode-cut.ts";
import { attribute, bytesField, encodeBatch, encodeRecord, varintField } from "./testing/wire.ts";

const text = "größe 漢字 \u{1f680}!";

test("takes a text that was cut anywhere, at either end, and only then puts U+FFFD there", () => {
  const bytes = Buffer.from(text);
  for (let start = 0; start <= bytes.length; start++) {
    for (let end = start; end <= bytes.length; end++) {
      const piece = bytes.subarray(start, end);
      const batch = scan(encodeBatch({ records: [encodeRecord({ message: piece })] }));
      const [record] = batchRecords(batch);
      const expected = decodeCut(piece);
      assert.equal(decodeRecord(batch.bytes, record!.fields).message, expected?.text);
      assert.equal(record!.isCut, expected?.isCut);
      assert.ok(piece.length === 0 || text.includes(expected!.text.replaceAll("\uFFFD", "")));
    }
  }
});

test("takes exactly what can be a piece of a text", () => {
  const edges = fc.constantFrom(
    0x00,
    0x61,
    0x7f,
    0x80,
    0x8f,
    0x90,
    0x9f,
    0xa0,
    0xbf,
    0xc1,
    0xc2,
    0xdf,
    0xe0,
    0xe1,
    0xed,
    0xef,
    0xf0,
    0xf1,
    0xf4,
    0xf5,
  );
  fc.assert(
    fc.property(fc.array(edges, { maxLength: 7 }), (list) => {
      const message = Buffer.from(list);
      const batch = scan(encodeBatch({ records: [encodeRecord({ message })] }));
      const [record] = batchRecords(batch);
      const expected = decodeCut(message);
      assert.equal(record!.rejection === undefined, expected !== undefined, message.toString("hex"));
      if (expected === undefined) return;
      assert.equal(decodeRecord(batch.bytes, record!.fields).message, expected.text, message.toString("hex"));
    }),
    { numRuns: 20_000 },
  );
});

const cut = Buffer.from("ü").subarray(1);

test("in every text of a record, but not in the name of an attribute", () => {
  const parts = [
    { logger: cut },
    { message: cut },
    { eventName: cut },
    { severityText: cut },
    { attributes: [["k", cut]] },
  ] as const;
  const good = encodeRecord({ message: "good" });
  const batch = scan(encodeBatch({ records: [good, ...parts.map(encodeRecord), good] }));
  assert.deepEqual([batch.rejections, batch.cutRecords], [[], [1, 2, 3, 4, 5]]);
  const named = scan(encodeBatch({ records: [encodeRecord({ attributes: [[cut, "v"]] })] }));
  assert.deepEqual(
    named.rejections.map(({ reason }) => reason),
    ["attributes[0].key is not UTF-8 at byte 0"],
  );
});

test("in texts of the batch, of the device and of a declaration", () => {
  const head = encodeBatch({});
  const device = bytesField(
    7,
    Buffer.concat([bytesField(1, cut), bytesField(3, cut), attribute("k", cut, 4)]),
  );
  const batch = scan(Buffer.concat([head, attribute("k", cut, 6), device]));
  assert.deepEqual([batch.cutRecords, batch.hasCutAttributes], [[], true]);
  assert.deepEqual(batch.deviceInfo?.decode(batch.bytes), {
    firmware: "\uFFFD",
    hardware: "",
    site: "\uFFFD",
    attributes: { k: "\uFFFD" },
  });
  const dropped = bytesField(5, Buffer.concat([varintField(1, 3), bytesField(2, cut)]));
  assert.equal(scan(Buffer.concat([encodeBatch({ records: [] }), dropped])).dropped?.reason, "\uFFFD");
});

test("limits are about the bytes as sent, and so is the digest", () => {
  const logger = Buffer.concat([Buffer.from("l".repeat(255)), Buffer.from("ü").subarray(0, 1)]);
  const [one, other] = [logger, Buffer.from(`${"l".repeat(253)}\uFFFD`)].map((logger) =>
    scan(encodeBatch({ records: [encodeRecord({ logger })] })),
  );
  assert.deepEqual([one!.rejections, one!.cutRecords], [[], [0]]);
  assert.notDeepEqual(digest(one!), digest(other!));
});

test("is rejected where the server says so, as everything else that is not UTF-8", () => {
  const options = { rejectsCutText: true };
  const batch = scan(encodeBatch({ records: [encodeRecord({ message: cut })] }), options);
  assert.deepEqual(
    batch.rejections.map(({ reason }) => reason),
    ["message is not UTF-8 at byte 0"],
  );
  const withAttribute = Buffer.concat([encodeBatch({}), attribute("k", cut, 6)]);
  assert.throws(
    () => scan(withAttribute, options),
    (error) => error instanceof InvalidBatchError && error.field === 'batch.attributes["k"]',
  );
});
