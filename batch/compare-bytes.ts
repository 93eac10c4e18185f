/** Names differ within their first bytes, where a loop is faster than a native call, which takes about 50 ns. */
const loopBytesMax = 32;

/** Compares bytes[start, end) with bytes[otherStart, otherEnd): below 0, 0 or above 0, as memcmp orders them. */
export function compareBytes(
  bytes: Buffer,
  start: number,
  end: number,
  otherStart: number,
  otherEnd: number,
): number {
  const length = end - start;
  const otherLength = otherEnd - otherStart;
  const shared = Math.min(length, otherLength, loopBytesMax);
  for (let at = 0; at < shared; at++) {
    const difference = bytes[start + at]! - bytes[otherStart + at]!;
    if (difference !== 0) return difference;
  }
  if (shared < loopBytesMax) return length - otherLength;
  return bytes.compare(bytes, otherStart + shared, otherEnd, start + shared, end);
}
