import assert from "node:assert/strict";
import { Readable } from "node:stream";
import { test } from "node:test";
import * as fc from "fast-check";
import { type Line, LineSplitter } from "#client/files/line-splitter.ts";
import { readLines } from "#client/files/read-lines.ts";

async function toLines(chunks: readonly (string | Buffer)[], lineBytesMax = 100): Promise<Line[]> {
  const lines: Line[] = [];
  const source = Readable.from(chunks.map((chunk) => Buffer.from(chunk)));
  for await (const some of readLines(source, lineBytesMax)) lines.push(...some);
  return lines;
}

const textOf = (lines: readonly Line[]) => lines.map(({ bytes }) => bytes.toString("latin1"));

const cases: readonly [what: string, chunks: string[], wanted: string[]][] = [
  ["nothing at all", [""], []],
  ["one empty line", ["\n"], [""]],
  ["empty lines between others", ["a\n\n\nb\n"], ["a", "", "", "b"]],
  ["a last line without newline", ["a\nb"], ["a", "b"]],
  ["carriage returns, which stay", ["a\r\nb\r\n"], ["a\r", "b\r"]],
  ["a line over several chunks", ["ab", "cd", "e\nf", "\n"], ["abcde", "f"]],
  ["a newline alone in its chunk", ["a", "\n", "\n", "b"], ["a", "", "b"]],
];
for (const [what, chunks, wanted] of cases) {
  test(`splits ${what}`, async () => {
    const lines = await toLines(chunks);
    assert.deepEqual(textOf(lines), wanted);
    assert.deepEqual(
      lines.map(({ number }) => number),
      wanted.map((_, index) => index + 1),
    );
  });
}

test("keeps the beginning and the length of a line that is too long", async () => {
  const lines = await toLines(["a\n", "x".repeat(60), "x".repeat(60), "x\nlast\n"], 100);
  assert.deepEqual(textOf(lines), ["a", "x".repeat(100), "last"]);
  assert.equal(lines[1]?.byteLength, 121);
});

test("skips and counts the NULs before a line, however many chunks they fill", async () => {
  const hole = Array.from({ length: 48 }, () => Buffer.alloc(65_536));
  const lines = await toLines(["a\n", ...hole, "after the hole\nb\0b\n", "\0\0"], 100);
  assert.deepEqual(textOf(lines), ["a", "after the hole", "b\0b", ""]);
  assert.deepEqual(
    lines.map(({ skippedNuls }) => skippedNuls),
    [0, 48 * 65_536, 0, 2],
  );
});

test("ends a line at a hole of NULs, which a crash leaves after a partial line", async () => {
  const lines = await toLines(["a\ntorn", Buffer.alloc(5_000), Buffer.alloc(3), "next\nb\0\0c\n"], 100);
  assert.deepEqual(textOf(lines), ["a", "torn", "next", "b\0\0c"]);
  assert.deepEqual(
    lines.map(({ number, skippedNuls }) => [number, skippedNuls]),
    [
      [1, 0],
      [2, 0],
      [2, 5_003],
      [3, 0],
    ],
  );
});

test("resumes after any line, given its offset and number", async () => {
  const all = Buffer.from(`a\r\n\n${"\0".repeat(20)}b\nc${"\0".repeat(9)}d\nlast`);
  const lines = await toLines([all]);
  for (const [index, { end }] of lines.entries()) {
    const again = new LineSplitter(100, { offset: end, number: 1 });
    const rest = [...again.push(all.subarray(end)), ...again.end()];
    assert.deepEqual(textOf(rest), textOf(lines).slice(index + 1));
    assert.deepEqual(
      rest.map((line) => line.end),
      lines.slice(index + 1).map((line) => line.end),
    );
  }
});

test("accepts a line of exactly the limit", async () => {
  assert.deepEqual(textOf(await toLines(["x".repeat(100)], 100)), ["x".repeat(100)]);
});

test("returns any bytes unchanged, however they are cut into chunks", async () => {
  const chunk = fc.uint8Array({ maxLength: 40, max: 15 }).map((bytes) => Buffer.from(bytes));
  await fc.assert(
    fc.asyncProperty(fc.array(chunk), async (chunks) => {
      const whole = Buffer.concat(chunks).toString("latin1");
      const wanted = whole.split("\n");
      if (wanted.at(-1) === "") wanted.pop();
      const withoutHoles = wanted.flatMap((line) => line.replace(/^\0+/, "").split(/\0{8,}/));
      assert.deepEqual(textOf(await toLines(chunks, 10_000)), withoutHoles);
    }),
    { seed: 20_261_123, numRuns: 1_000 },
  );
});
