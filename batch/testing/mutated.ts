import type { Random } from "./random.ts";

// Bytes that mean something: ends of varints, tags of log.proto, JSON's and COPY's special characters, halves of
// surrogates and of overlong forms.
const telling = [
  0x00, 0x01, 0x02, 0x7f, 0x80, 0xff, 0x0a, 0x12, 0x18, 0x22, 0x09, 0x10, 0x1a, 0x2a, 0x0b, 0x0c,
];
const tellingText = [0x22, 0x5c, 0x0d, 0xc0, 0xc3, 0xed, 0xa0, 0xe0, 0xf0, 0xf4];

/** A copy of `bytes` with one to three things wrong; `other` lends a piece now and then. */
export function mutated(random: Random, bytes: Buffer, other: Buffer): Buffer {
  let mutant = Buffer.from(bytes);
  for (let count = 1 + random.below(3); count > 0; count--) mutant = mutateOnce(random, mutant, other);
  return mutant;
}

function mutateOnce(random: Random, bytes: Buffer<ArrayBuffer>, other: Buffer): Buffer<ArrayBuffer> {
  const at = random.below(bytes.length);
  const until = Math.min(bytes.length, at + 1 + random.below(8));
  const replaced = (from: number, to: number, piece: Uint8Array) =>
    Buffer.concat([bytes.subarray(0, from), piece, bytes.subarray(to)]);
  if (bytes.length === 0) return Buffer.from(other);
  switch (random.below(8)) {
    case 0: // A bit flips.
      bytes[at]! ^= 1 << random.below(8);
      return bytes;
    case 1:
      bytes[at] = random.pick(telling);
      return bytes;
    case 2:
      bytes[at] = random.pick(tellingText);
      return bytes;
    case 3: // A length or number is off by one.
      bytes[at]! += random.pick([-1, 1]);
      return bytes;
    case 4: // Something is lost.
      return replaced(at, until, Buffer.alloc(0));
    case 5: // Something comes twice.
      return replaced(at, at, bytes.subarray(at, until));
    case 6: {
      // Something of another batch slips in.
      const from = random.below(other.length);
      return replaced(at, random.pick([at, until]), other.subarray(from, from + random.below(20)));
    }
    default: // The rest is lost, seldom.
      return random.chance(0.1)
        ? replaced(at, bytes.length, Buffer.alloc(0))
        : replaced(at, at + 1, Buffer.alloc(0));
  }
}
