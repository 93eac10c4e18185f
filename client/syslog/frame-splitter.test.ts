import assert from "node:assert/strict";
import { test } from "node:test";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
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

test("any bytes give the same messages however they are cut, and lose nothing but what they say", () => {
  const part = fc.oneof(
    fc.constantFrom("\n", "\0", " ", "<", "0", "9", "12 <", "300 <14>", "12345678 <", "m".repeat(60)),
    fc.uint8Array({ maxLength: 30 }),
  );
  fc.assert(
    fc.property(
      fc.array(part, { maxLength: 12 }),
      fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 5 }),
      (parts, sizes) => {
        const bytes = Buffer.concat(parts.map((each) => Buffer.from(each as string)));
        const whole = split(bytes, [Math.max(bytes.length, 1)], 50);
        assert.deepEqual(split(bytes, sizes, 50), whole);
        assert.deepEqual(split(bytes, [1], 50), whole);
      },
    ),
  );
});

test("a connection holds no more than the longest message, however small its pieces", () => {
  const splitter = new FrameSplitter(65_536);
  const before = heldBytes();
  for (let index = 0; index < 65_536; index += 1) {
    // Each piece is of a buffer of its own, as those of a socket are.
    for (const _ of splitter.add(Buffer.alloc(64, "m").subarray(0, 1))) assert.fail("there is no end yet");
  }
  const held = heldBytes() - before;
  assert.ok(held < 1_000_000, `${held} bytes`);
  assert.equal([...splitter.add(Buffer.from("\n"))][0]?.bytes.length, 65_536);
});

function heldBytes(): number {
  setFlagsFromString("--expose-gc");
  (runInNewContext("gc") as () => void)();
  const { heapUsed, external, arrayBuffers } = process.memoryUsage();
  return heapUsed + external + arrayBuffers;
}

for (const [stream, expected] of [
  ["<14>a\n\n \r\n<14>b", ["<14>a", "<14>b"]],
  ["12 monkeys\n<14>b\n", ["12 monkeys", "<14>b"]], // no length: no priority follows
  ["12 <14>abc\n", ["<14>abc\n"]], // a length, and the connection ends before it
  ["9999999 <14>a\n<14>b\n", ["<14>a\n<14>b\n"]],
  ["99999999 <14>a\n<14>b\n", ["99999999 <14>a", "<14>b"]],
  ["-3 <14>a\n03 <14>b\n", ["-3 <14>a", "03 <14>b"]],
  ["<14>a\0<14>b\0\n<14>c", ["<14>a", "<14>b", "<14>c"]], // Python's SysLogHandler ends messages with NUL
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
