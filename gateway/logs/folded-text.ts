import { foldCase } from "#search/fold-case.ts";

/** A text to search for in messages, in any case. */
export interface FoldedText {
  readonly folded: string;
  /**
   * A part of it that can be searched for in the bytes of many messages at once, each byte a character (Latin-1) in lower
   * case; empty: none. Where it does not occur, the text does not, unless {@link foldsInto} says otherwise.
   */
  readonly piece: string;
  /** The piece is all of the text. */
  readonly isPiece: boolean;
  /** The piece has an i or a k, into which characters beyond ASCII are folded too. */
  readonly hasFoldedInto: boolean;
}

export function toFoldedText(text: string): FoldedText {
  const folded = foldCase(text);
  const pieces = (folded.match(unfolded) ?? []).map(toLowerBytes);
  const piece = pieces.reduce((best, one) => (one.length > best.length ? one : best), "");
  return {
    folded,
    piece,
    isPiece: isAscii.test(folded),
    hasFoldedInto: /[ik]/.test(piece),
  };
}

/** Characters that are lower case in one way only: ASCII, and the letters of scripts without case. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: all of ASCII
const unfolded = /[\0-\x7f\p{Lo}]+/gu;

function toLowerBytes(text: string): string {
  return lowerLatin1(Buffer.from(text));
}

/** Bytes as characters. Those beyond ASCII become others too, but the same ones everywhere. */
export function lowerLatin1(bytes: Buffer): string {
  return bytes.toString("latin1").toLowerCase();
}

/** Whether bytes of {@link lowerLatin1} may have a character beyond ASCII that is folded into i or k. */
export function foldsInto(lower: string): boolean {
  return lower.includes(capitalIWithDot) || lower.includes(kelvinSign);
}

const capitalIWithDot = toLowerBytes("\u0130");
const kelvinSign = toLowerBytes("\u212a");

// biome-ignore lint/suspicious/noControlCharactersInRegex: all of ASCII
const isAscii = /^[\0-\x7f]*$/;
