import type { AttributeValue } from "#proto/attributes.ts";
import { AttributeList } from "./attribute-list.ts";
import { decodeAttributes } from "./attribute-value.ts";
import { type CutTexts, decodeText } from "./cut-text.ts";
import { limits } from "./limits.ts";
import { deviceInfoTags, knownFieldMax } from "./log-tags.ts";
import { attributesFault, type FieldFault } from "./record-fault.ts";
import { textFault } from "./text-fault.ts";
import type { WireReader } from "./wire-reader.ts";

/** Its texts, by rising number. */
export const deviceInfoTexts = ["firmware", "hardware", "site"] as const;
const textTags = deviceInfoTexts.map((name) => deviceInfoTags[name]);

/** What a device said about itself; "" where it said nothing. */
export interface DeviceInfo extends Readonly<Record<(typeof deviceInfoTexts)[number], string>> {
  readonly attributes: Readonly<Record<string, AttributeValue>>;
}

/** Where the fields of a DeviceInfo lie in the batch's bytes. */
export class DeviceInfoFields {
  /** Start and end of each of {@link deviceInfoTexts}. */
  readonly bounds = new Int32Array(2 * deviceInfoTexts.length);
  readonly attributes = new AttributeList();

  /** Reads the DeviceInfo that fills the next `size` bytes. Given again it is merged, as in protobuf. */
  read(reader: WireReader, size: number): void {
    const outerEnd = reader.end;
    reader.end = reader.position + size;
    let before = 0;
    while (reader.position < reader.end) {
      const tag = reader.tag();
      if (tag < before || (tag === before && tag !== deviceInfoTags.attributes)) reader.isCanonical = false;
      before = tag;
      const index = textTags.indexOf(tag);
      if (index >= 0) {
        const size = reader.size();
        if (size === 0) reader.isCanonical = false;
        this.bounds[2 * index] = reader.position;
        this.bounds[2 * index + 1] = reader.position += size;
      } else if (tag === deviceInfoTags.attributes) {
        this.attributes.read(reader, reader.size());
      } else {
        reader.skipUnknown(tag, knownFieldMax.deviceInfo);
      }
    }
    reader.end = outerEnd;
  }

  /** The first of its faults. */
  fault(text: DataView, cuts: CutTexts): FieldFault | undefined {
    for (const [index, name] of deviceInfoTexts.entries()) {
      const [start, end] = [this.bounds[2 * index]!, this.bounds[2 * index + 1]!];
      const problem = textFault(text, start, end, limits.deviceInfoBytesMax, cuts);
      if (problem !== undefined) return { field: `batch.device.${name}`, problem };
    }
    return attributesFault(text, this.attributes, "batch.device.attributes", cuts);
  }

  decode(bytes: Buffer): DeviceInfo {
    const [firmware, hardware, site] = deviceInfoTexts.map((_, index) =>
      decodeText(bytes, this.bounds[2 * index]!, this.bounds[2 * index + 1]!),
    ) as [string, string, string];
    return { firmware, hardware, site, attributes: decodeAttributes(bytes, this.attributes) };
  }
}
