export const timeUnixNanoMax = 2n ** 64n - 1n;

/** Seconds, milliseconds, microseconds or nanoseconds since 1970, by their size: 2001 to 2286. */
export function epochNanos(whole: string, fraction = ""): bigint | undefined {
  const scale = { 10: 9, 13: 6, 16: 3, 19: 0 }[whole.length];
  if (scale === undefined || whole.startsWith("0")) return undefined;
  const nanos = BigInt(whole + fraction.slice(0, scale).padEnd(scale, "0"));
  return nanos <= timeUnixNanoMax ? nanos : undefined;
}
