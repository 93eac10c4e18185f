import { severityNumbers } from "./severity-names.ts";

/** What is read into when a number is 64 bits wide: two unsigned halves. */
export interface Wide {
  high: number;
  low: number;
}

/** Digits per step: what 32 bits become times 10^6 is still exact. */
const digitsEach = 6;

/** Decimal digits of a number below 2^64 into `wide`; false when bytes[start, end) is anything else. */
function readDigits(bytes: Buffer, start: number, end: number, wide: Wide): boolean {
  if (start === end || end - start > 20) return false;
  let high = 0;
  let low = 0;
  for (let at = start; at < end; ) {
    const chunkEnd = Math.min(end, at + digitsEach);
    let chunk = 0;
    let factor = 1;
    for (; at < chunkEnd; at++) {
      const digit = bytes[at]! - 0x30;
      if (digit < 0 || digit > 9) return false;
      chunk = chunk * 10 + digit;
      factor *= 10;
    }
    const product = low * factor + chunk;
    const carry = Math.floor(product / 2 ** 32);
    low = product - carry * 2 ** 32;
    high = high * factor + carry;
    if (high >= 2 ** 32) return false;
  }
  wide.high = high;
  wide.low = low;
  return true;
}

/**
 * A number of JSON, or the text of one, as a whole number below 2^64. Digits are taken as they are written, also beyond
 * 2^53. What is written as 1.7e18 is the double that it names.
 */
export function readWhole(bytes: Buffer, start: number, end: number, wide: Wide): boolean {
  if (readDigits(bytes, start, end, wide)) return true;
  if (end - start > numberCharactersMax) return false;
  const text = bytes.toString("latin1", start, end);
  if (!numberPattern.test(text)) return false;
  const value = Number(text);
  if (!Number.isInteger(value) || value < 0 || value >= 2 ** 64) return false;
  setWide(wide, BigInt(value));
  return true;
}

const numberCharactersMax = 40;

/**
 * A signed integer of 64 bits as zigzag, which is how sint64 is on the wire; false when bytes[start, end) is anything else,
 * also a number with a fraction or an exponent.
 */
export function readZigzag(bytes: Buffer, start: number, end: number, wide: Wide): boolean {
  const isNegative = bytes[start] === 0x2d /* - */;
  if (!readDigits(bytes, isNegative ? start + 1 : start, end, wide)) return false;
  const { high, low } = wide;
  const isLeast = isNegative && high === 2 ** 31 && low === 0;
  if (high >= 2 ** 31 && !isLeast) return false;
  wide.high = ((high << 1) | (low >>> 31)) >>> 0;
  wide.low = (low << 1) >>> 0;
  if (!isNegative || (high === 0 && low === 0)) return true;
  if (wide.low === 0) wide.high = (wide.high - 1) >>> 0;
  wide.low = (wide.low - 1) >>> 0;
  return true;
}

/** A number of JSON, or the text of one or of NaN or an infinity. undefined: none, or beyond what a double holds. */
export function readDouble(bytes: Buffer, start: number, end: number): number | undefined {
  const text = bytes.toString("latin1", start, end);
  if (text === "NaN" || text === "Infinity" || text === "-Infinity") return Number(text);
  const value = Number(text);
  return numberPattern.test(text) && Number.isFinite(value) ? value : undefined;
}

const numberPattern = /^-?\d+(\.\d+)?([eE][+-]?\d+)?$/;

/** RFC 3339, `2026-11-27T17:08:30.123456789+01:00`, as ns since 1970. What is finer than a nanosecond is cut off. */
const timePattern =
  /^(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(?:\.(\d{1,18}))?(?:[Zz]|([+-])(\d\d):(\d\d))$/;
const timeCharactersMax = 48;

/** A time as JSON says it, in ns since 1970: RFC 3339, or digits. False when it is neither, or before 1970. */
export function readTime(bytes: Buffer, start: number, end: number, wide: Wide): boolean {
  if (readWhole(bytes, start, end, wide)) return true;
  if (end - start > timeCharactersMax) return false;
  const match = timePattern.exec(bytes.toString("latin1", start, end));
  if (match === null) return false;
  const [year, month, day, hour, minute, second] = match.slice(1, 7).map(Number) as [
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  const [, , , , , , , fraction = "", sign, zoneHours = "0", zoneMinutes = "0"] = match;
  const isDay =
    month >= 1 && month <= 12 && day >= 1 && day <= new Date(Date.UTC(year, month, 0)).getUTCDate();
  const isTime = hour <= 23 && minute <= 59 && second <= 60; // 60: a leap second
  const offset = Number(zoneHours) * 60 + Number(zoneMinutes);
  if (!isDay || !isTime || Number(zoneHours) > 23 || Number(zoneMinutes) > 59) return false;
  const local = Date.UTC(year, month - 1, day, hour, minute, second);
  const seconds = local / 1000 - (sign === "-" ? -60 : 60) * offset;
  const nanos = BigInt(seconds) * 1_000_000_000n + BigInt(fraction.slice(0, 9).padEnd(9, "0"));
  if (year < 1900 || nanos < 0n || nanos >= 2n ** 64n) return false; // Date.UTC takes 0 to 99 for 1900 to 1999
  setWide(wide, nanos);
  return true;
}

/** A severity as JSON says it: a name such as WARN, SEVERITY_WARN or warn, or a number. Undefined: none of these. */
export function readSeverity(bytes: Buffer, start: number, end: number, wide: Wide): number | undefined {
  if (end - start > severityCharactersMax) return undefined;
  if (readDigits(bytes, start, end, wide))
    return wide.high === 0 && wide.low < 2 ** 31 ? wide.low : undefined;
  const text = bytes.toString("latin1", start, end);
  const number = severityNumbers.get(text) ?? severityNumbers.get(text.toUpperCase());
  if (number !== undefined || !/^-?\d+(\.0+)?$/.test(text)) return number;
  return Number(text) >= -(2 ** 31) && Number(text) < 2 ** 31 ? Number(text) : undefined;
}

const severityCharactersMax = 24;

function setWide(wide: Wide, value: bigint): void {
  wide.high = Number(value >> 32n);
  wide.low = Number(value & 0xffff_ffffn);
}
