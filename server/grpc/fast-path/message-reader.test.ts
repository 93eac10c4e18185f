import assert from "node:assert/strict";
import { test } from "node:test";
import { InvalidBatchError } from "#batch/invalid-batch.ts";
import { seededRandom } from "#batch/testing/random.ts";
import { MessageReader } from "./message-reader.ts";

const bytesMax = 1_000;

function framed(message: Uint8Array, flags = 0): Buffer {
  const head = Buffer.from([flags, 0, 0, 0, 0]);
  head.writeUInt32BE(message.length, 1);
  return Buffer.concat([head, message]);
}

function readAll(reader: MessageReader, pieces: readonly Buffer[]): Buffer[] {
  const messages: Buffer[] = [];
  for (const piece of pieces) {
    reader.push(piece);
    for (let message = reader.next(); message; message = reader.next()) messages.push(message);
  }
  return messages;
}

test("messages are the same however the bytes are cut into pieces", () => {
  const random = seededRandom(7);
  for (let round = 0; round < 500; round += 1) {
    const sizes = Array.from({ length: 12 }, () => Math.floor(random() ** 4 * bytesMax));
    const messages = sizes.map((size, index) => Buffer.alloc(size, index + 1));
    const bytes = Buffer.concat(messages.map((message) => framed(message)));
    const pieces: Buffer[] = [];
    for (let at = 0; at < bytes.length; ) {
      const size = Math.floor(random() ** 3 * 700);
      pieces.push(bytes.subarray(at, at + size));
      at += size;
    }
    const reader = new MessageReader(bytesMax);
    assert.deepEqual(readAll(reader, pieces), messages);
    assert(reader.isEmpty);
  }
});

test("what is not taken yet stays, also after its piece was used up", () => {
  const reader = new MessageReader(bytesMax);
  reader.push(Buffer.concat([framed(Buffer.from("a")), framed(Buffer.from("b"))]));
  assert.equal(String(reader.next()), "a");
  assert(!reader.isEmpty);
  assert.equal(String(reader.next()), "b");
  assert(reader.isEmpty);
});

test("a message in one piece is not copied", () => {
  const reader = new MessageReader(bytesMax);
  const piece = framed(Buffer.from("abc"));
  reader.push(piece);
  assert.equal(reader.next()?.buffer, piece.buffer);
});

test("a part of a message is no message, and is left over", () => {
  for (const length of [1, 4, 5, 7]) {
    const reader = new MessageReader(bytesMax);
    assert.deepEqual(readAll(reader, [framed(Buffer.from("abc")).subarray(0, length)]), []);
    assert(!reader.isEmpty);
  }
});

test("what can never be read is refused by its first five bytes", () => {
  for (const [bytes, problem] of [
    [framed(Buffer.alloc(0), 1), /compressed/],
    [framed(Buffer.alloc(bytesMax + 1)), /1001 bytes, the limit is 1000/],
    [Buffer.from([0, 0xff, 0xff, 0xff, 0xff]), /4294967295 bytes/],
  ] as const) {
    const whole = bytes.subarray(0, 5);
    for (const pieces of [[whole], [whole.subarray(0, 2), whole.subarray(2)]]) {
      assert.throws(
        () => readAll(new MessageReader(bytesMax), pieces),
        (error) => error instanceof InvalidBatchError && problem.test(error.message),
      );
    }
  }
});
