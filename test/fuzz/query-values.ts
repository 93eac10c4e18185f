import { createHash } from "node:crypto";
import type { Random } from "#batch/testing/random.ts";

/** What a field of a query is tried with. */
export const texts = [
  "",
  "good",
  "GOOD",
  "0",
  "1",
  "-1",
  "1000",
  "1001",
  "9999999999",
  "18446744073709551615",
  "18446744073709551616",
  "1e3",
  "NaN",
  "true",
  "2026-01-01T00:00:00Z",
  "0001-01-01T00:00:00Z",
  "9999-12-31T23:59:59.999999999Z",
  "0000-01-01T00:00:00Z",
  "10000-01-01T00:00:00Z",
  "2026-02-30T00:00:00Z",
  "2026-01-01T00:00:00+25:00",
  "2026-01-01",
  "1h",
  "1s",
  "0s",
  "-1s",
  "0.000000001s",
  "315576000001s",
  "ERROR",
  "SEVERITY_ERROR",
  "25",
  "\0",
  "\ud800",
  "\uffff",
  "\u{1f680}".repeat(100),
  "%",
  "%%%",
  "_",
  "\\",
  "'",
  '"',
  "a=b",
  "=",
  "a\\=b=c",
  "\\",
  "'; drop table records; --",
  "x".repeat(257),
  "x".repeat(5_000),
  "AAAAAAAAAAAAAAAAAAAAAAAAAAAA",
  "YWJjZGVmZ2hpamtsbW5vcA",
  "🚀",
  "\u202e",
  "logger",
  "message",
  "../..",
];

/** What only JSON can say. */
export const values = [
  null,
  true,
  0,
  -1,
  1.5,
  1e300,
  -0,
  [],
  {},
  [[]],
  [null],
  { a: 1 },
  { name: "a" },
  { name: "\0", value: "b" },
  { seconds: 1 },
  { nanos: -1 },
] as const;

/** Many, deep, long, or a token that only its maker's query could have. */
export function largeValue(random: Random): unknown {
  const count = random.pick([2, 17, 101, 1_001, 6_000]);
  const item = random.pick<unknown>([...texts.slice(0, 20), ...values, forgedToken(random)]);
  return random.pick([
    () => Array.from({ length: Math.min(count, 2_000) }, () => item),
    () => Array.from({ length: Math.min(count, 3_000) }).reduce<unknown>((inner) => [inner], item),
    () => Array.from({ length: Math.min(count, 3_000) }).reduce<unknown>((inner) => ({ name: inner }), item),
    () => "x".repeat(count),
    () => forgedToken(random),
  ])();
}

/** A page token with a checksum that is right. */
function forgedToken(random: Random): string {
  const part = () =>
    random.pick(["0", "-1", "1.5", "1e-99", "9".repeat(17), "9".repeat(30), "good", "", "__proto__"]);
  const position = Buffer.from(random.list(5, part).join(" "));
  const body = Buffer.concat([Buffer.alloc(8, random.below(256)), position]);
  const checksum = createHash("sha256").update(body).digest().subarray(0, 4);
  return Buffer.concat([checksum, body]).toString("base64url");
}
