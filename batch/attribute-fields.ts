import { attributeTags, knownFieldMax } from "./log-tags.ts";
import type { WireReader } from "./wire-reader.ts";

/** Where name and value of one attribute lie in the batch's bytes; empty when absent, the last one when repeated. */
export class AttributeFields {
  keyStart = 0;
  keyEnd = 0;
  /** The tag of its value, which says the type; 0: it has none, and stands for null. */
  valueTag = 0;
  /** Behind tag and length. */
  valueStart = 0;
  valueEnd = 0;

  /** Reads the attribute that fills the next `size` bytes. Canonical has a name, then at most one value. */
  read(reader: WireReader, size: number): void {
    const outerEnd = reader.end;
    reader.end = reader.position + size;
    this.keyStart = 0;
    this.keyEnd = 0;
    this.valueTag = 0;
    this.valueStart = 0;
    this.valueEnd = 0;
    while (reader.position < reader.end) {
      const tag = reader.tag();
      if (tag === attributeTags.key) {
        const size = reader.size();
        if (this.keyStart > 0 || this.valueTag > 0) reader.isCanonical = false;
        this.keyStart = reader.position;
        this.keyEnd = reader.position += size;
      } else if (tag === attributeTags.stringValue) {
        const size = reader.size();
        if (this.valueTag > 0) reader.isCanonical = false;
        this.valueTag = tag;
        this.valueStart = reader.position;
        this.valueEnd = reader.position += size;
      } else {
        this.#readScalar(reader, tag);
      }
    }
    if (this.keyStart === 0) reader.isCanonical = false;
    reader.end = outerEnd;
  }

  #readScalar(reader: WireReader, tag: number): void {
    const start = reader.position;
    switch (tag) {
      case attributeTags.boolValue:
        reader.varint();
        if (reader.high !== 0 || reader.low >>> 1 !== 0) reader.isCanonical = false;
        break;
      case attributeTags.intValue:
        reader.varint();
        break;
      case attributeTags.doubleValue:
        reader.fixed64();
        if (isOddDouble(reader.high, reader.low)) reader.isCanonical = false;
        break;
      default:
        return reader.skipUnknown(tag, knownFieldMax.attribute);
    }
    if (this.valueTag > 0) reader.isCanonical = false;
    this.valueTag = tag;
    this.valueStart = start;
    this.valueEnd = reader.position;
  }
}

/** Minus zero, and another NaN than most clients write: they mean 0 and NaN. */
function isOddDouble(high: number, low: number): boolean {
  if (low === 0 && (high === -0x8000_0000 || high === 0x7ff8_0000)) return high < 0;
  return (high & 0x7ff0_0000) === 0x7ff0_0000 && ((high & 0xf_ffff) | low) !== 0;
}
