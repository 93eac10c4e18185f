import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { splitAnsi, stripAnsi } from "./ansi-text.ts";

const styled = (message: string) =>
  splitAnsi(message).map(({ text, styles, isControl }) =>
    isControl ? `[${text}]` : [text, ...styles].join("|"),
  );

test("colour sequences become styles until they are reset", () => {
  assert.deepEqual(styled("\u001b[32mI (12) wifi\u001b[0m up"), ["I (12) wifi|green", " up"]);
  assert.deepEqual(styled("\u001b[1;31mE\u001b[22m!\u001b[39m."), ["E|bold|red", "!|red", "."]);
  assert.deepEqual(styled("\u001b[38;5;3ma\u001b[38;2;1;2;3mb\u001b[48;5;1mc\u001b[mz"), [
    "a|yellow",
    "b|yellow",
    "c|yellow",
    "z",
  ]);
  assert.deepEqual(styled("\u001b[97mbright\u001b[31;32mlast wins"), ["bright|white", "last wins|green"]);
});

test("other terminal sequences are removed", () => {
  assert.equal(
    stripAnsi("a\u001b[2Jb\u001b]0;title\u0007c\u001b]8;;http://x\u001b\\d\u001b(Be\u009b1mf"),
    "abcdef",
  );
});

test("invisible characters and marks of text direction are named", () => {
  assert.deepEqual(styled("a\u0007b\u202ec\rd\u0000"), [
    "a",
    "[\\x07]",
    "b",
    "[U+202E]",
    "c",
    "[\\x0d]",
    "d",
    "[\\x00]",
  ]);
  assert.deepEqual(styled("lines\r\nend with\ttabs\r"), ["lines", "\nend with\ttabs"]);
  assert.deepEqual(styled("\u001b"), ["[\\x1b]"]);
});

test("no input leaves a special character or loses another one", () => {
  const piece = fc.oneof(
    fc.string(),
    fc.constantFrom("\u001b", "[", "31", ";", "m", "\u009b", "]", "\u0007", "\u202e"),
  );
  fc.assert(
    fc.property(fc.array(piece), (pieces) => {
      const texts = splitAnsi(pieces.join("")).map(({ text }) => text);
      // oxlint-disable-next-line no-control-regex
      assert.doesNotMatch(texts.join(""), /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e]/);
    }),
    { seed: 4 },
  );
  assert.equal(stripAnsi("Schöne Grüße 👩‍🔬 مرحبا"), "Schöne Grüße 👩‍🔬 مرحبا");
});
