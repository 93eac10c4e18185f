import { AttributeFields } from "./attribute-fields.ts";
import { scalarBytesMax, writeCanonicalScalar } from "./attribute-value.ts";
import { attributeTags, recordTags } from "./log-tags.ts";
import { WireReader } from "./wire-reader.ts";

const attribute = new AttributeFields();

/**
 * 64 bits that stand for the attributes of the encoded LogRecord in bytes[start, end) in whatever order, as two
 * unsigned halves: the sum of a hash of each. For a record with more than it may have: their number is bounded by the
 * size of the batch alone, so they are not sorted. Good enough to tell apart what is refused anyway; no secret.
 */
export function attributeSum(bytes: Buffer, start: number, end: number): { low: number; high: number } {
  const reader = new WireReader(bytes);
  reader.position = start;
  reader.end = end;
  let sumLow = 0;
  let sumHigh = 0;
  while (reader.position < reader.end) {
    const tag = reader.tag();
    if (tag !== recordTags.attributes) {
      reader.skip(tag);
      continue;
    }
    attribute.read(reader, reader.size());
    const { keyStart, keyEnd, valueTag } = attribute;
    let low = keyEnd - keyStart + 256 * valueTag;
    let high = ~low;
    for (let at = keyStart; at < keyEnd; at++) {
      low = Math.imul(low ^ bytes[at]!, 0x01000193);
      high = Math.imul(high ^ bytes[at]!, 0x5bd1e995) ^ (high >>> 15);
    }
    const value = canonicalValue(bytes);
    for (let at = value.start; at < value.end; at++) {
      low = Math.imul(low ^ value.bytes[at]!, 0x01000193);
      high = Math.imul(high ^ value.bytes[at]!, 0x5bd1e995) ^ (high >>> 15);
    }
    sumLow = (sumLow + mixed(low)) | 0;
    sumHigh = (sumHigh + mixed(high)) | 0;
  }
  return { low: sumLow >>> 0, high: sumHigh >>> 0 };
}

const scalar = Buffer.alloc(scalarBytesMax);

/** Of `attribute`: a text as it lies in the batch; everything else as a canonical encoder writes it. */
function canonicalValue(bytes: Buffer): { bytes: Buffer; start: number; end: number } {
  const { valueTag, valueStart, valueEnd } = attribute;
  if (valueTag === attributeTags.stringValue) return { bytes, start: valueStart, end: valueEnd };
  return {
    bytes: scalar,
    start: 0,
    end: writeCanonicalScalar(scalar, 0, bytes, valueTag, valueStart, valueEnd),
  };
}

/** MurmurHash3's last step: every bit in changes about half of the bits out. */
function mixed(bits: number): number {
  let mix = Math.imul(bits ^ (bits >>> 16), 0x85ebca6b);
  mix = Math.imul(mix ^ (mix >>> 13), 0xc2b2ae35);
  return mix ^ (mix >>> 16);
}
