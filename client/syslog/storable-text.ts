import { isUtf8 } from "node:buffer";

/** A text that a record can hold, and whether it is another than the sender's. */
export interface StorableText {
  readonly text: string;
  readonly isRepaired: boolean;
}

const windows1252 = new TextDecoder("windows-1252");

/**
 * Reads a text of at most `bytesMax` bytes of UTF-8. Older devices send Latin-1: bytes without any character of UTF-8
 * beyond ASCII are read as its superset Windows-1252, which loses none of them. Elsewhere what is no UTF-8 becomes U+FFFD,
 * and so does NUL, which PostgreSQL cannot store.
 */
export function toStorableText(bytes: Buffer, bytesMax: number): StorableText {
  const isWhole = isUtf8(bytes) && !bytes.includes(0);
  const decoded = bytes.toString();
  if (isWhole && bytes.length <= bytesMax) return { text: decoded, isRepaired: false };
  const isOfUtf8 = isWhole || /[^\0-\x7f\ufffd]/.test(decoded);
  const readable = (isOfUtf8 ? decoded : windows1252.decode(bytes)).replaceAll("\0", "\ufffd");
  return { text: cutText(readable, bytesMax), isRepaired: true };
}

/** The beginning of a text, whole characters of at most `bytesMax` bytes together. */
function cutText(text: string, bytesMax: number): string {
  const bytes = Buffer.from(text);
  if (bytes.length <= bytesMax) return text;
  let end = bytesMax;
  while ((bytes[end]! & 0xc0) === 0x80) end -= 1;
  return bytes.toString("utf8", 0, end);
}
