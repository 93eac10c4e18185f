import assert from "node:assert/strict";
import { isUtf8 } from "node:buffer";
import { test } from "node:test";
import * as fc from "fast-check";
import { firstBadByte as firstBadByteOf } from "./utf8.ts";

function firstBadByte(bytes: Buffer, start: number, end: number): number {
  return firstBadByteOf(new DataView(bytes.buffer, bytes.byteOffset, bytes.length), start, end);
}

// Bytes from the edges of UTF-8's ranges meet each other more often than bytes at random.
const edges = [0x01, 0x61, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc1, 0xc2, 0xdf];
const leads = [0xe0, 0xe1, 0xec, 0xed, 0xee, 0xef, 0xf0, 0xf1, 0xf3, 0xf4, 0xf5, 0xff];
const edgeByte = fc.constantFrom(...edges, ...leads);
const edgeBytes = fc.array(edgeByte, { maxLength: 6 }).map((bytes) => Buffer.from(bytes));

test("finds a bad byte exactly where Node finds bytes that are not UTF-8", () => {
  fc.assert(
    fc.property(edgeBytes, (bytes) => {
      assert.equal(firstBadByte(bytes, 0, bytes.length) === bytes.length, isUtf8(bytes));
    }),
    { seed: 1, numRuns: 20_000 },
  );
});

test("knows every character of Unicode, and no surrogate", () => {
  for (let codePoint = 1; codePoint <= 0x10ffff; codePoint += codePoint < 0x3000 ? 1 : 61) {
    if (codePoint >= 0xd800 && codePoint <= 0xdfff) continue;
    const bytes = Buffer.from(String.fromCodePoint(codePoint));
    assert.equal(firstBadByte(bytes, 0, bytes.length), bytes.length, codePoint.toString(16));
  }
  for (let low = 0x80; low <= 0xbf; low++) {
    for (let middle = 0xa0; middle <= 0xbf; middle++) {
      assert.equal(firstBadByte(Buffer.from([0xed, middle, low]), 0, 3), 0);
    }
  }
});

test("points at the first byte of what is bad, however good the rest", () => {
  fc.assert(
    fc.property(fc.string({ unit: "grapheme" }), edgeBytes, (text, rest) => {
      const good = Buffer.from(text);
      const bad = firstBadByte(rest, 0, rest.length);
      const bytes = Buffer.concat([Buffer.from("outside\0"), good, rest, Buffer.from("\0")]);
      assert.equal(firstBadByte(bytes, 8, bytes.length), 8 + good.length + bad);
    }),
    { seed: 2, numRuns: 2_000 },
  );
});

test("never looks beyond the end it is given", () => {
  const bytes = Buffer.from("aü");
  assert.equal(firstBadByte(bytes, 0, 2), 1);
  assert.equal(firstBadByte(bytes, 0, 3), 3);
});

test("finds a NUL or a stray byte at every place of a long ASCII text, from every alignment", () => {
  for (const bad of [0x00, 0x80, 0xff]) {
    for (let start = 0; start < 4; start++) {
      for (let place = start; place < 40; place++) {
        const bytes = Buffer.from("\x01~\x7f".repeat(15));
        bytes[place] = bad;
        assert.equal(firstBadByte(bytes, start, bytes.length), place);
      }
    }
  }
});
