import type { CutTexts } from "./cut-text.ts";
import { firstBadByte } from "./utf8.ts";

/**
 * What makes bytes[start, end) unfit as a text of at most `bytesMax` bytes, as the end of a sentence. With `cuts` a text
 * that was cut inside a character is taken.
 */
export function textFault(
  text: DataView,
  start: number,
  end: number,
  bytesMax: number,
  cuts?: CutTexts,
): string | undefined {
  const length = end - start;
  if (length > bytesMax) return `is ${length} bytes long, the limit is ${bytesMax}`;
  const bad = firstBadByte(text, start, end);
  if (bad === end || cuts?.accept(text, start, end) === true) return undefined;
  return text.getUint8(bad) === 0
    ? `has a NUL at byte ${bad - start}, which PostgreSQL cannot store`
    : `is not UTF-8 at byte ${bad - start}`;
}
