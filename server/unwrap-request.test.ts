import assert from "node:assert/strict";
import { test } from "node:test";
import { toBinary } from "@bufbuild/protobuf";
import { InvalidBatchError } from "#batch/invalid-batch.ts";
import { LogBatchSchema } from "#proto/gen/fleetlog/v1/log_pb.ts";
import { encodeRequest, encodeSubscription, makeBatch } from "./testing/batches.ts";
import { readSubscription, unwrapRequest } from "./unwrap-request.ts";

const batch = toBinary(LogBatchSchema, makeBatch(1));
const request = Buffer.from(encodeRequest(makeBatch(1)));
const unknownField = Buffer.from([0x12, 0x02, 0x41, 0x42]); // field 2, two bytes

for (const [what, bytes, expected] of [
  ["the batch of a request", request, batch],
  ["the batch before an unknown field", Buffer.concat([request, unknownField]), batch],
  ["the batch after an unknown field", Buffer.concat([unknownField, request]), batch],
  [
    "a batch in two parts as one",
    Buffer.concat([Buffer.from([0x0a, 2, 0x10, 7]), request]),
    Buffer.concat([Buffer.from([0x10, 7]), batch]),
  ],
  [
    "a batch in many parts as one",
    Buffer.concat([...Array.from(batch, (byte) => Buffer.from([0x0a, 1, byte])), Buffer.from([0x0a, 0])]),
    batch,
  ],
  ["nothing, of an empty request", Buffer.alloc(0), Buffer.alloc(0)],
  ["nothing, of a request with unknown fields only", unknownField, Buffer.alloc(0)],
] as const) {
  test(`returns ${what}`, () => {
    assert.deepEqual(Buffer.from(unwrapRequest(bytes).batch), Buffer.from(expected));
  });
}

test("copies nothing", () => {
  assert.equal(unwrapRequest(request).batch.buffer, request.buffer);
});

test("malformed bytes throw an InvalidBatchError, wherever they are cut or changed", () => {
  for (let length = 1; length < request.length; length++) {
    assert.throws(() => unwrapRequest(request.subarray(0, length)), InvalidBatchError);
  }
  for (let at = 0; at < request.length; at++) {
    for (const value of [0x00, 0x07, 0x0b, 0x7f, 0x80, 0xff]) {
      const changed = Buffer.from(request);
      changed[at] = value;
      try {
        unwrapRequest(changed);
      } catch (error) {
        assert(error instanceof InvalidBatchError, String(error));
      }
    }
  }
});

const session = Buffer.from(encodeSubscription("boot-1")).subarray(2);
const halves = [session.subarray(0, 10), session.subarray(10)].map((half) =>
  Buffer.concat([Buffer.from([0x12, half.length]), half]),
);

for (const [what, bytes, expected] of [
  ["none in a batch alone", request, undefined],
  ["none in nothing", Buffer.alloc(0), undefined],
  ["none beside an unknown field", Buffer.concat([request, Buffer.from([0x1a, 1, 7])]), undefined],
  ["none in bytes that are no message", Buffer.from([0x12, 9, 1]), undefined],
  ["none in a number where it should be", Buffer.from([0x10, 1]), undefined],
  ["a subscription alone", encodeSubscription("boot-1"), { session, hasBatch: false }],
  [
    "a subscription with a batch",
    encodeSubscription("boot-1", "device-1", makeBatch(1)),
    { session, hasBatch: true },
  ],
  [
    "a subscription before a batch",
    Buffer.concat([encodeSubscription("boot-1"), request]),
    { session, hasBatch: true },
  ],
  ["a subscription in two parts as one", Buffer.concat(halves), { session, hasBatch: false }],
] as const) {
  test(`reads ${what}`, () => {
    const subscription = readSubscription(bytes);
    assert.deepEqual(
      subscription && { ...subscription, session: Buffer.from(subscription.session) },
      expected,
    );
  });
}
