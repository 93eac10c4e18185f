import type { AttributeList } from "./attribute-list.ts";
import { decodeBool, decodeInt } from "./attribute-value.ts";
import { attributeTags } from "./log-tags.ts";

/** The most bytes that one byte becomes in JSON: a control character, \u001f. Numbers grow less, from tag and value. */
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

/** Writes an object of the attributes, its numbers exact and as short as possible, and returns the position behind it. */
export function writeJsonAttributes(
  out: Buffer,
  position: number,
  bytes: Buffer,
  { count, bounds, valueTags }: AttributeList,
): number {
  let to = position;
  for (let index = 0; index < count; index++) {
    const at = 4 * index;
    out[to++] = index === 0 ? 0x7b /* { */ : 0x2c /* , */;
    to = writeJsonString(out, to, bytes, bounds[at]!, bounds[at + 1]!);
    out[to++] = 0x3a /* : */;
    const tag = valueTags[index]!;
    const [start, end] = [bounds[at + 2]!, bounds[at + 3]!];
    if (tag === attributeTags.stringValue) to = writeJsonString(out, to, bytes, start, end);
    else to += out.write(scalarText(bytes, tag, start, end), to, "latin1");
  }
  out[to++] = 0x7d /* } */;
  return to;
}

/** JSON has no NaN and no infinity: they are texts. */
function scalarText(bytes: Buffer, tag: number, start: number, end: number): string {
  if (tag === attributeTags.intValue) return String(decodeInt(bytes, start, end));
  if (tag === attributeTags.boolValue) return String(decodeBool(bytes, start, end));
  if (tag !== attributeTags.doubleValue) return "null";
  const value = bytes.readDoubleLE(start);
  return Number.isFinite(value) ? String(value) : `"${value}"`;
}
