import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { FrameSplitter } from "./frame-splitter.ts";

function split(stream: Buffer, sizes: readonly number[], bytesMax = 1_000): string[] {
  const splitter = new FrameSplitter(bytesMax);
  const frames: string[] = [];
  const add = (found: Iterable<{ bytes: Buffer; cutFrom?: number }>) => {
    for (const { bytes, cutFrom } of found)
      frames.push(bytes.toString() + (cutFrom === undefined ? "" : ` of ${cutFrom}`));
  };
  let at = 0;
  for (let index = 0; at < stream.length; index += 1) {
    const size = sizes[index % sizes.length] ?? 1;
    add(splitter.add(stream.subarray(at, at + size)));
    at += size;
  }
  add(splitter.finish());
  return frames;
}

const message = fc.string({ unit: "grapheme", minLength: 1, maxLength: 60 }).map((text) => `<14>${text}`);

test("messages are the same however they are framed and cut into pieces", () => {
  fc.assert(
    fc.property(
      fc.array(fc.record({ text: message, isCounted: fc.boolean() }), { maxLength: 8 }),
      fc.array(fc.integer({ min: 1, max: 30 }), { minLength: 1, maxLength: 5 }),
      (messages, sizes) => {
        const stream = messages.map(({ text, isCounted }) =>
          isCounted ? `${Buffer.byteLength(text)} ${text}` : `${text.replaceAll("\n", " ")}\n`,
        );
        const expected = messages.map(({ text, isCounted }) =>
          isCounted ? text : text.replaceAll("\n", " "),
        );
        assert.deepEqual(split(Buffer.from(stream.join("")), sizes), expected);
      },
    ),
  );
});

test("any bytes are read to their end", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), fc.integer({ min: 1, max: 20 }), (bytes, size) => {
      const frames = split(Buffer.from(bytes), [size], 50);
      assert.ok(frames.length <= bytes.length);
    }),
  );
});

for (const [stream, expected] of [
  ["<14>a\n\n \r\n<14>b", ["<14>a", "<14>b"]],
  ["12 monkeys\n", ["monkeys\n"]], // a length, and the connection ends before it
  ["7 <14>abc5 <1>bc", ["<14>abc", "<1>bc"]],
  ["1234567890 is no length\n", ["1234567890 is no length"]],
  [`<14>${"m".repeat(20)}\n<14>b\n`, ["<14>mmmmmm of 24", "<14>b"]],
  [`24 <14>${"m".repeat(20)}6 <14>bc`, ["<14>mmmmmm of 24", "<14>bc"]],
  ["123", ["123"]],
] as const) {
  test(`${JSON.stringify(stream)} with at most 10 bytes each`, () => {
    const bytesMax = stream.includes("mmm") ? 10 : 100;
    for (const size of [1, 3, 1_000])
      assert.deepEqual(split(Buffer.from(stream), [size], bytesMax), expected);
  });
}
