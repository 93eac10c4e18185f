import { limits } from "../limits.ts";
import type { Random } from "./random.ts";
import {
  attribute,
  bytesField,
  fixed64Field,
  tag,
  valueField,
  varint,
  varintField,
  type WireValue,
} from "./wire.ts";

export interface RandomBatch {
  /** An encoded LogBatch that can be taken; some of its records may be unfit. */
  readonly bytes: Buffer;
  /** Its encoded LogRecords. */
  readonly records: readonly Buffer[];
}

/**
 * A batch as the oddest correct sender would write it: fields in any order, singular fields repeated, unknown fields
 * and groups between, lengths in more bytes than needed, texts full of what breaks parsers. Some records have what
 * PostgreSQL cannot hold.
 */
export function randomBatch(random: Random): RandomBatch {
  const records = [randomRecord(random), ...random.list(12, () => randomRecord(random))];
  const session = random.chance(0.9);
  const head = [
    bytesField(1, random.pick(["host-1", "A.b_c:D-9", "d".repeat(128)])),
    ...(session ? [bytesField(2, random.pick(["boot-1", "s".repeat(64)]))] : []),
    ...(session ? [varintField(3, random.pick([1n, 300n, 2n ** 40n, 2n ** 63n - 2n]))] : []),
  ];
  // Head fields may stand anywhere, the records keep their order.
  const fields = records.map((record) => lengthPrefixed(random, 4, record));
  for (const field of [...head, ...random.list(2, () => unknownField(random, 8))]) {
    fields.splice(random.below(fields.length + 1), 0, field);
  }
  return { bytes: Buffer.concat(fields), records };
}

function randomRecord(random: Random): Buffer {
  // What is given again must be UTF-8 each time: protobuf-es refuses the record otherwise, scan looks at the last.
  const isRepetitive = random.chance(0.1);
  const text = (piecesMax: number) => randomText(random, piecesMax, isRepetitive ? 0 : 0.01);
  const fields: Buffer[] = [];
  for (let round = 0; round < (isRepetitive ? 2 : 1); round++) {
    if (random.chance(0.8)) fields.push(fixed64Field(1, randomTime(random)));
    if (random.chance(0.8)) fields.push(varintField(2, randomSeverity(random)));
    if (random.chance(0.7)) fields.push(lengthPrefixed(random, 3, text(4)));
    if (random.chance(0.9)) fields.push(lengthPrefixed(random, 4, text(30)));
    if (random.chance(0.5)) {
      fields.push(...random.list(8, () => lengthPrefixed(random, 5, randomAttribute(random))));
    }
    if (random.chance(0.3)) fields.push(lengthPrefixed(random, 7, randomId(random, 16)));
    if (random.chance(0.3)) fields.push(lengthPrefixed(random, 8, randomId(random, 8)));
    if (random.chance(0.2)) fields.push(lengthPrefixed(random, 9, text(3)));
    if (random.chance(0.2)) fields.push(fixed64Field(10, randomUptime(random)));
    if (random.chance(0.2)) fields.push(lengthPrefixed(random, 11, text(2)));
    if (random.chance(0.2)) fields.push(fixed64Field(12, randomTime(random)));
    if (random.chance(0.1)) fields.push(unknownField(random, 13));
  }
  if (random.chance(0.02)) fields.push(unfitAttribute(random));
  return Buffer.concat(random.chance(0.3) ? random.shuffle(fields) : fields);
}

/** Mostly an id; none, in both ways to say so; seldom of another length. */
function randomId(random: Random, size: number): Buffer {
  if (random.chance(0.01)) return Buffer.alloc(random.pick([1, size - 1, size + 1]), random.below(2));
  if (random.chance(0.2)) return Buffer.alloc(random.pick([0, size]));
  return Buffer.from(Array.from({ length: size }, () => random.below(256)));
}

function randomTime(random: Random): bigint {
  const usual = 1_760_000_000_000_000_000n + BigInt(random.below(2 ** 32)) * 1_000_003n;
  return random.chance(0.8)
    ? usual
    : random.pick([
        0n,
        1n,
        999n,
        1000n,
        59_999_999_999n,
        946_684_800_000_000_000n,
        2n ** 63n,
        2n ** 64n - 1n,
      ]);
}

function randomUptime(random: Random): bigint {
  if (random.chance(0.01)) return random.pick([limits.uptimeNanoMax + 1n, 2n ** 64n - 1n]);
  return random.pick([0n, 1n, 999n, 86_400_000_000_001n, limits.uptimeNanoMax]);
}

function randomSeverity(random: Random): bigint {
  if (random.chance(0.01)) return random.pick([25n, 99n, -1n, 2n ** 31n]);
  // An enum's high half is dropped: 2^32 + 9 is 9.
  return BigInt(random.below(25)) + (random.chance(0.02) ? 2n ** 32n : 0n);
}

/** The content of an attribute; names meet again now and then, and so do fields. */
function randomAttribute(random: Random): Buffer {
  const key = random.chance(0.3)
    ? Buffer.from(random.pick(["a", "b", "__proto__"]))
    : randomText(random, 3, 0);
  const fields = [
    bytesField(1, key.length === 0 ? "k" : key),
    ...(random.chance(0.05) ? [valueField(randomValue(random))] : []),
    ...(random.chance(0.9) ? [valueField(randomValue(random))] : []),
    ...(random.chance(0.05) ? [unknownField(random, 6)] : []),
  ];
  return Buffer.concat(random.chance(0.2) ? fields.toReversed() : fields);
}

function randomValue(random: Random): WireValue {
  if (random.chance(0.6)) return randomText(random, 8, 0);
  return random.pick([null, true, false, randomInt(random), randomDouble(random)]);
}

function randomInt(random: Random): bigint {
  const usual = BigInt(random.below(2 ** 32)) << BigInt(random.below(31));
  return random.pick([0n, -1n, 2n ** 53n + 1n, 2n ** 63n - 1n, -(2n ** 63n), usual, -usual]);
}

/** Any of the 2^64 bit patterns, and the ends. */
function randomDouble(random: Random): number {
  const bytes = Buffer.alloc(8);
  bytes.writeUInt32LE(random.below(2 ** 32));
  bytes.writeUInt32LE(random.below(2 ** 32), 4);
  const ends = [
    0,
    -0,
    0.1,
    21.5,
    1e17,
    5e-324,
    Number.MAX_VALUE,
    -Number.MAX_VALUE,
    Number.NaN,
    Infinity,
    -Infinity,
  ];
  return random.chance(0.5) ? bytes.readDoubleLE() : random.pick(ends);
}

/** An attribute without a name, or with one that no other attribute has, and something in it that is unfit. */
function unfitAttribute(random: Random): Buffer {
  const unfit = randomText(random, 3, 1);
  return random.pick([attribute("unfit", unfit), attribute(unfit, "value"), attribute("", "value")]);
}

const harmlessPieces = [
  "connection lost",
  " ",
  "größe",
  "漢字",
  "\u{1f680}",
  "\u{10ffff}",
  "\ufeff",
  "\ufffd",
  "\uffff",
  "\u0301",
  '"',
  "\\",
  "\\u0000",
  "\\.",
  "\\N",
  "\n",
  "\r\n",
  "\t",
  "\b\f\v",
  "\u0001\u001f\u007f\u0080",
  "\u2028",
  "{}[],:",
  "x".repeat(70),
  "'; DROP TABLE records; --",
].map((piece) => Buffer.from(piece));

const unfitPieces = [
  [0],
  [0xc0, 0x80],
  [0xed, 0xa0, 0x80],
  [0xf4, 0x90, 0x80, 0x80],
  [0x80],
  [0xe6, 0xbc],
  [0xff],
];

function randomText(random: Random, piecesMax: number, unfitProbability: number): Buffer {
  const pieces = random.list(piecesMax, () => random.pick(harmlessPieces));
  if (random.chance(unfitProbability)) {
    pieces.splice(random.below(pieces.length + 1), 0, Buffer.from(random.pick(unfitPieces)));
  }
  return Buffer.concat(pieces);
}

/** A field that log.proto does not have, of any wire type. */
function unknownField(random: Random, fieldMin: number): Buffer {
  const field = random.pick([fieldMin, fieldMin + 11, 536_870_911]);
  switch (random.below(5)) {
    case 0:
      return varintField(field, random.pick([0n, 300n, -1n]));
    case 1:
      return fixed64Field(field, 77n);
    case 2:
      return bytesField(field, randomText(random, 3, 0.1));
    case 3:
      return Buffer.concat([tag(field, 5), Buffer.alloc(4, 9)]);
    default:
      return Buffer.concat([tag(field, 3), tag(1, 3), varintField(7, 1n), tag(1, 4), tag(field, 4)]);
  }
}

/** A length-delimited field; now and then its length takes more bytes than it needs to. */
function lengthPrefixed(random: Random, field: number, value: Buffer): Buffer {
  if (!random.chance(0.05)) return bytesField(field, value);
  const length = varint(value.length);
  length[length.length - 1]! |= 0x80;
  return Buffer.concat([tag(field, 2), length, Buffer.from([0x80, 0x00]), value]);
}
