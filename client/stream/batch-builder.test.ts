import assert from "node:assert/strict";
import { test } from "node:test";
import { limits } from "#batch/limits.ts";
import { BatchBuilder, recordBytesMax } from "#client/stream/batch-builder.ts";
import { encodeRecord, encodeRequest } from "#client/stream/record.ts";

const record = (bytes: number) => new Uint8Array(bytes);

test("is full at the number of records", () => {
  const builder = new BatchBuilder({ recordsMax: 2 });
  builder.add(record(1));
  assert.equal(builder.isFull, false);
  builder.add(record(1));
  assert.equal(builder.isFull, true);
  assert.throws(() => builder.add(record(1)), /full/);
  assert.equal(builder.take().length, 2);
  assert.equal(builder.count, 0);
});

test("refuses a record that would exceed the bytes, unless it is alone", () => {
  const builder = new BatchBuilder({ bytesMax: 1_000 });
  builder.add(record(2_000));
  assert.equal(builder.fits(record(1)), false);
  builder.take();
  builder.add(record(600));
  assert.equal(builder.fits(record(300)), true);
  assert.equal(builder.fits(record(500)), false);
});

test("refuses a record that no batch can carry", () => {
  assert.throws(() => new BatchBuilder().add(record(recordBytesMax)), /exceeds the batch limit/);
});

test("a batch of the longest names stays within 1 MiB", () => {
  const builder = new BatchBuilder({ bytesMax: recordBytesMax, recordsMax: limits.recordsMax });
  const encoded = encodeRecord({ message: Buffer.alloc(1_000) });
  while (builder.fits(encoded)) builder.add(encoded);
  const request = encodeRequest(
    { deviceId: "d".repeat(128), sessionId: "s".repeat(64), sequence: limits.sequenceMax },
    builder.take(),
  );
  assert.ok(request.byteLength <= limits.batchBytesMax, `${request.byteLength}`);
  assert.ok(request.byteLength > limits.batchBytesMax - 4_096);
});

test("refuses targets beyond the limits", () => {
  for (const recordsMax of [0, 10_001, Number.NaN]) assert.throws(() => new BatchBuilder({ recordsMax }));
  for (const bytesMax of [0, 1024 * 1024]) assert.throws(() => new BatchBuilder({ bytesMax }));
});
