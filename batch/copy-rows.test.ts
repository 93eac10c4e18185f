import assert from "node:assert/strict";
import { test } from "node:test";
import { copyBytesMax } from "./copy-format.ts";
import { CopyRows } from "./copy-rows.ts";
import { limits } from "./limits.ts";
import { scan } from "./scan.ts";
import { readCopy } from "./testing/read-copy.ts";
import { encodeBatch, encodeRecord, type RecordParts } from "./testing/wire.ts";

const bytesMax = copyBytesMax(limits.batchBytesMax, limits.recordsMax);

test("writes a record's columns, its time cut off to microseconds", () => {
  const [row] = rowsOf({
    timeUnixNano: 1_760_000_000_123_456_789n,
    severity: 17,
    logger: "net.wifi",
    message: "größe\t\\.\n",
    attributes: [["code", '"7"']],
    traceId: Buffer.from("0af7651916cd43dd8448eb211c80319c", "hex"),
    spanId: Buffer.from("00f067aa0ba902b7", "hex"),
    eventName: "device.boot",
    uptimeNano: 7_000_000_001n,
    severityText: "E",
    observedTimeUnixNano: 1_760_000_000_999_999_999n,
  });
  assert.deepEqual(row, {
    batchId: String(2n ** 60n + 5n),
    idx: 0,
    timeMicros: "1760000000123456",
    severity: 17,
    logger: "net.wifi",
    message: "größe\t\\.\n",
    attributes: [["code", '"\\"7\\""']],
    traceId: "0af7651916cd43dd8448eb211c80319c",
    spanId: "00f067aa0ba902b7",
    eventName: "device.boot",
    severityText: "E",
    uptime: "7000000001",
    observedMicros: "1760000000999999",
    flags: null,
  });
});

test("writes ids and the name of an event as NULL where a record has none, also behind one that has all", () => {
  const full = {
    traceId: Buffer.alloc(16, 1),
    spanId: Buffer.alloc(8, 2),
    eventName: "boot",
  };
  const rows = rowsOf(full, {}, { traceId: Buffer.alloc(16), spanId: Buffer.alloc(0), eventName: "" }, full);
  const found = rows.map(({ traceId, spanId, eventName }) => [traceId, spanId, eventName]);
  const all = ["01".repeat(16), "02".repeat(8), "boot"];
  const none = [null, null, null];
  assert.deepEqual(found, [all, none, none, all]);
});

test("keeps every time that 64 bits of nanoseconds can say, to the microsecond", () => {
  for (const nanos of [
    1n,
    999n,
    1_000n,
    946_684_799_999_999_999n,
    946_684_800_000_000_000n,
    2n ** 63n,
    2n ** 64n - 1n,
  ]) {
    assert.equal(rowsOf({ timeUnixNano: nanos })[0]!.timeMicros, String(nanos / 1000n));
  }
});

test("gives a record without a time the time at which the batch was received", () => {
  assert.equal(rowsOf({})[0]!.timeMicros, "1760000000000001");
});

test("writes no attributes as NULL, and the last of those that share a name", () => {
  assert.equal(rowsOf({})[0]!.attributes, null);
  const [row] = rowsOf({
    attributes: [
      ["a", "1"],
      ["b", "2"],
      ["a", "3"],
    ],
  });
  assert.deepEqual(row!.attributes, [
    ["a", '"3"'],
    ["b", '"2"'],
  ]);
});

test("leaves a gap where a record was rejected", () => {
  const rows = rowsOf(
    { message: "0" },
    { severity: 99 },
    { severity: 99 },
    { message: "3" },
    { message: "\0" },
  );
  assert.deepEqual(
    rows.map(({ idx, message }) => [idx, message]),
    [
      [0, "0"],
      [3, "3"],
    ],
  );
});

test("writes a batch as one row, up to 1,000 records and 256 KiB", () => {
  const large = { message: "m".repeat(65_536) };
  const larger: RecordParts = {
    attributes: Array.from({ length: 33 }, (_, n) => [String(n), "v".repeat(8192)]),
  };
  assert.equal(rowCountOf(...Array.from({ length: 1_000 }, () => ({ message: "m" }))), 1);
  assert.equal(rowCountOf(...Array.from({ length: 1_001 }, () => ({ message: "m" }))), 2);
  assert.equal(rowCountOf(large, large, large), 1);
  assert.equal(rowCountOf(large, large, large, large), 2);
  assert.equal(rowCountOf(large, larger, large), 3);
});

test("keeps the indexes of records around rejected ones, also across rows", () => {
  const records = Array.from({ length: 2_500 }, (_, index) =>
    index % 1_200 === 7
      ? { severity: 99 }
      : { message: String(index), eventName: index === 1_500 ? "e" : "" },
  );
  const rows = rowsOf(...records);
  assert.equal(rows.length, 2_497);
  for (const { idx, message, eventName } of rows) {
    assert.deepEqual([message, eventName], [String(idx), idx === 1_500 ? "e" : null]);
  }
});

test("holds the rows of many batches, and after clear only the next ones", () => {
  const rows = new CopyRows(bytesMax);
  const batch = scan(encodeBatch());
  for (let batchId = 1n; batchId <= 1_000n; batchId++) rows.append(batch, batchId, { receivedAtMicros: 0 });
  assert.equal(rows.rowCount, 1_000);
  assert.deepEqual(
    readCopy(rows.finish()).map((row) => Number(row.batchId)),
    Array.from({ length: 1_000 }, (_, n) => n + 1),
  );
  rows.clear();
  assert.deepEqual([readCopy(rows.finish()), rows.rowCount, [...rows.statistics]], [[], 0, []]);
  rows.append(batch, 7n, { receivedAtMicros: 0 });
  assert.equal(readCopy(rows.finish()).length, 1);
});

test("has room for the worst batch within the bound it states", () => {
  const rows = new CopyRows(bytesMax);
  const worst = encodeRecord({
    attributes: Array.from({ length: 64 }, (_, n) => [
      `${"\u0001".repeat(126)}${n + 10}`,
      "\u0001".repeat(8192),
    ]),
  });
  const batches = [
    encodeBatch({ records: [worst] }),
    encodeBatch({ records: Array.from({ length: 10_000 }, () => Buffer.alloc(0)) }),
  ];
  for (const bytes of batches) rows.append(scan(bytes), 1n, { receivedAtMicros: 0 });
  assert.equal(readCopy(rows.finish()).length, 10_001);
});

test("throws rather than grow beyond its bound", () => {
  const rows = new CopyRows(100_000);
  const record = encodeRecord({ message: "m".repeat(60_000) });
  const batch = scan(encodeBatch({ records: [record, record] }));
  assert.throws(() => rows.append(batch, 1n, { receivedAtMicros: 0 }), RangeError);
});

test("counts rows per minute and severity, in order", () => {
  const rows = new CopyRows(bytesMax);
  const minute = 60_000_000_000n;
  const records = [
    recordAt(9n * minute, 17),
    recordAt(9n * minute - 1n, 9),
    recordAt(8n * minute, 9),
    recordAt(9n * minute, 9),
    recordAt(9n * minute, 17),
    recordAt(9n * minute, 99),
  ];
  rows.append(scan(encodeBatch({ records })), 1n, { receivedAtMicros: 0 });
  rows.append(scan(encodeBatch({ records: [recordAt(2n ** 64n - 1n, 0), recordAt(0n, 24)] })), 2n, {
    receivedAtMicros: 540_000_000,
  });
  assert.deepEqual(
    [...rows.statistics],
    [
      { minute: 8, severity: 9, count: 2 },
      { minute: 9, severity: 9, count: 1 },
      { minute: 9, severity: 17, count: 2 },
      { minute: 9, severity: 24, count: 1 },
      { minute: Number((2n ** 64n - 1n) / minute), severity: 0, count: 1 },
    ],
  );
});

function recordAt(timeUnixNano: bigint, severity: number): Buffer {
  return encodeRecord({ timeUnixNano, severity });
}

function rowCountOf(...records: readonly RecordParts[]): number {
  const rows = new CopyRows(bytesMax);
  rows.append(scan(encodeBatch({ records: records.map(encodeRecord) })), 1n, { receivedAtMicros: 0 });
  assert.deepEqual(
    readCopy(rows.finish()).map(({ idx }) => idx),
    records.keys().toArray(),
  );
  assert.equal(rows.recordCount, records.length);
  return rows.rowCount;
}

function rowsOf(...records: RecordParts[]) {
  const rows = new CopyRows(bytesMax);
  rows.append(scan(encodeBatch({ records: records.map(encodeRecord) })), 2n ** 60n + 5n, {
    receivedAtMicros: 1_760_000_000_000_001,
  });
  return readCopy(rows.finish());
}
