import assert from "node:assert/strict";
import { test } from "node:test";
import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { LogBatchSchema } from "#proto/gen/fleetlog/v1/log_pb.ts";
import { InvalidBatchError } from "./invalid-batch.ts";
import { limits } from "./limits.ts";
import { scan } from "./scan.ts";

function encode(changes: MessageInitShape<typeof LogBatchSchema>): Uint8Array {
  const batch = { deviceId: "d", sessionId: "s", sequence: 5n, ...changes };
  return toBinary(LogBatchSchema, create(LogBatchSchema, batch));
}

test("a batch may declare a part of its session as dropped instead of having records", () => {
  const { dropped, recordCount } = scan(
    encode({ dropped: { lastSequence: 9n, reason: "memory was full – 4 MiB" } }),
  );
  assert.deepEqual(dropped, { lastSequence: 9n, reason: "memory was full – 4 MiB" });
  assert.equal(recordCount, 0);
});

test("without a last sequence only the batch's own number is dropped", () => {
  assert.equal(scan(encode({ dropped: {} })).dropped?.lastSequence, 5n);
});

test("a declaration gives up as many batches as the limit says, and not one more", () => {
  const lastSequence = 5n + limits.droppedBatchesMax - 1n;
  assert.equal(scan(encode({ dropped: { lastSequence } })).dropped?.lastSequence, lastSequence);
  assert.throws(
    () => scan(encode({ dropped: { lastSequence: lastSequence + 1n } })),
    /declares 4294967297 batches as dropped, the limit is 4294967296/,
  );
});

test("a batch with records declares nothing", () => {
  assert.equal(scan(encode({ records: [{ message: "m" }] })).dropped, undefined);
});

test("a field that comes twice counts as protobuf has it: what is set last, of each of its own fields", () => {
  const twice = Buffer.concat([
    encode({ dropped: { lastSequence: 9n, reason: "first" } }),
    toBinary(LogBatchSchema, create(LogBatchSchema, { dropped: { reason: "second" } })),
  ]);
  assert.deepEqual(scan(twice).dropped, { lastSequence: 9n, reason: "second" });
});

for (const [what, field, batch] of [
  ["records beside it", "batch.dropped", { dropped: {}, records: [{}] }],
  ["a sender without a session", "batch.dropped", { dropped: {}, sessionId: "", sequence: 0n }],
  ["a range that ends before it begins", "batch.dropped.last_sequence", { dropped: { lastSequence: 4n } }],
  [
    "too high a number",
    "batch.dropped.last_sequence",
    { dropped: { lastSequence: limits.sequenceMax + 1n } },
  ],
  ["a NUL", "batch.dropped.reason", { dropped: { reason: "a\0b" } }],
  ["too long a reason", "batch.dropped.reason", { dropped: { reason: "x".repeat(257) } }],
] as const) {
  test(`${what}: refused by name`, () => {
    assert.throws(
      () => scan(encode(batch as MessageInitShape<typeof LogBatchSchema>)),
      (error) => error instanceof InvalidBatchError && error.field === field,
    );
  });
}
