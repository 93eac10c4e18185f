/** The text, or as much of its beginning as fits into `bytesMax` bytes of UTF-8 with an ellipsis behind it. */
export function truncateText(text: string, bytesMax: number): string {
  if (3 * text.length <= bytesMax || Buffer.byteLength(text) <= bytesMax) return text;
  const bytes = Buffer.from(text);
  let end = bytesMax - ellipsisBytes;
  while (isWithinCharacter(bytes[end]!)) end -= 1;
  return `${bytes.toString("utf8", 0, end)}${ellipsis}`;
}

const ellipsis = "…";
const ellipsisBytes = Buffer.byteLength(ellipsis);

function isWithinCharacter(byte: number): boolean {
  return (byte & 0xc0) === 0x80;
}
