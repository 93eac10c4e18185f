import { AttributeFields } from "./attribute-fields.ts";
import { compareBytes } from "./compare-bytes.ts";
import { limits } from "./limits.ts";
import type { WireReader } from "./wire-reader.ts";

/** Where the attributes of a record, a batch or a DeviceInfo lie in the batch's bytes, in the order of the wire. */
export class AttributeList {
  /** Entries on the wire, repeated names included: the limit is on what a device sends. May exceed the limit. */
  count = 0;
  /** Start and end of the name, start and end of the value, for each attribute up to the limit. */
  readonly bounds = new Int32Array(4 * limits.attributesMax);
  /** The tag of each one's value, see AttributeFields. */
  readonly valueTags = new Uint8Array(limits.attributesMax);
  readonly #attribute = new AttributeFields();

  /** Adds the attribute that fills the next `size` bytes. Canonical has them by rising name. */
  read(reader: WireReader, size: number): void {
    this.#attribute.read(reader, size);
    if (this.count < limits.attributesMax) {
      const { bounds } = this;
      const { keyStart, keyEnd, valueTag, valueStart, valueEnd } = this.#attribute;
      const at = 4 * this.count;
      if (at > 0 && reader.isCanonical) {
        const order = compareBytes(reader.bytes, keyStart, keyEnd, bounds[at - 4]!, bounds[at - 3]!);
        if (order <= 0) reader.isCanonical = false;
      }
      bounds[at] = keyStart;
      bounds[at + 1] = keyEnd;
      bounds[at + 2] = valueStart;
      bounds[at + 3] = valueEnd;
      this.valueTags[this.count] = valueTag;
    }
    this.count += 1;
  }
}
