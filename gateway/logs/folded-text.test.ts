import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { foldCase } from "#search/fold-case.ts";
import { foldsInto, lowerLatin1, toFoldedText } from "./folded-text.ts";

const characters = Array.from({ length: 0x110000 }, (_, code) => code)
  .filter((code) => code < 0xd800 || code > 0xdfff)
  .map((code) => String.fromCodePoint(code));

describe("the bytes of a message contain the piece of a text that it contains", () => {
  test("each character becomes one, and only two beyond ASCII fold into it", () => {
    for (const character of characters) {
      const folded = foldCase(character);
      assert.match(folded, /^.$/su, character);
      if (folded < "\x80" && character >= "\x80") {
        assert.ok(foldsInto(lowerLatin1(Buffer.from(character))), character);
        assert.match(folded, /[ik]/);
      }
    }
  });

  test("in a message of any characters, whatever stands around it", () => {
    for (const character of characters) {
      const text = toFoldedText(`a${character}b`);
      for (const message of [`xA${character}B`, `\xffa${foldCase(character)}bÄ`]) {
        const bytes = lowerLatin1(Buffer.from(message));
        assert.ok(bytes.includes(text.piece) || (text.hasFoldedInto && foldsInto(bytes)), message);
      }
      if (text.isPiece) assert.equal(text.piece, text.folded);
    }
  });
});

const pieceOf = (text: string) => Buffer.from(toFoldedText(text).piece, "latin1");

test("the piece is the longest part whose bytes are known in any case", () => {
  assert.deepEqual(pieceOf("Über-LAUF Ä"), Buffer.from("ber-lauf "));
  assert.deepEqual(pieceOf("ÄÖ"), Buffer.from(""));
  assert.equal(pieceOf("日本語").length, 9);
});
