import { attributeTags, knownFieldMax } from "./log-tags.ts";
import type { WireReader } from "./wire-reader.ts";

/** Where name and value of one attribute lie in the batch's bytes; empty when absent, the last one when repeated. */
export class AttributeFields {
  keyStart = 0;
  keyEnd = 0;
  valueStart = 0;
  valueEnd = 0;

  /** Reads the map entry that fills the next `size` bytes. Canonical has both fields, an empty value too. */
  read(reader: WireReader, size: number): void {
    const outerEnd = reader.end;
    reader.end = reader.position + size;
    this.keyStart = 0;
    this.keyEnd = 0;
    this.valueStart = 0;
    this.valueEnd = 0;
    while (reader.position < reader.end) {
      const tag = reader.tag();
      if (tag === attributeTags.key) {
        const size = reader.size();
        if (this.keyStart > 0 || this.valueStart > 0) reader.isCanonical = false;
        this.keyStart = reader.position;
        this.keyEnd = reader.position += size;
      } else if (tag === attributeTags.value) {
        const size = reader.size();
        if (this.valueStart > 0) reader.isCanonical = false;
        this.valueStart = reader.position;
        this.valueEnd = reader.position += size;
      } else {
        reader.skipUnknown(tag, knownFieldMax.attribute);
      }
    }
    if (this.keyStart === 0 || this.valueStart === 0) reader.isCanonical = false;
    reader.end = outerEnd;
  }
}
