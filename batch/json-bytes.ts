/** The most bytes that one byte of text becomes in JSON: \u001f. */
export const jsonBytesPerByteMax = 6;

const quote = 0x22;
const backslash = 0x5c;
const zero = 0x30;
const hexDigits = Buffer.from("0123456789abcdef");

/** What follows the backslash, by byte; 0 for bytes that stand for themselves. */
const escapes = Buffer.alloc(256);
escapes.fill("u", 0, 0x20);
for (const [character, escape] of ['""', "\\\\", "\bb", "\tt", "\nn", "\ff", "\rr"]) {
  escapes[character!.charCodeAt(0)] = escape!.charCodeAt(0);
}

/**
 * Writes bytes[start, end), which is UTF-8, to `out` as a JSON string with its quotes, and returns the position
 * behind it. Room for `jsonBytesPerByteMax` bytes a byte, and the quotes, is the caller's affair.
 */
export function writeJsonString(
  out: Uint8Array,
  position: number,
  bytes: Uint8Array,
  start: number,
  end: number,
): number {
  let to = position;
  out[to++] = quote;
  for (let from = start; from < end; from++) {
    const byte = bytes[from]!;
    const escape = escapes[byte]!;
    if (escape === 0) {
      out[to++] = byte;
      continue;
    }
    out[to++] = backslash;
    out[to++] = escape;
    if (byte < 0x20 && escape === 0x75) {
      out[to++] = zero;
      out[to++] = zero;
      out[to++] = hexDigits[byte >> 4]!;
      out[to++] = hexDigits[byte & 0xf]!;
    }
  }
  out[to++] = quote;
  return to;
}
