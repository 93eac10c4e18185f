import type { AttributeList } from "./attribute-list.ts";
import { compareBytes } from "./compare-bytes.ts";
import { limits } from "./limits.ts";

/**
 * The attributes of a list that is not over its limit, by rising name; of a repeated name the last one, as in a
 * map. Inserts each where it belongs: at most 64, so the number of comparisons is bounded, and in order already takes
 * one each.
 */
export class AttributeOrder {
  count = 0;
  /** The place of each in the list. */
  readonly places = new Uint8Array(limits.attributesMax);

  sort(bytes: Buffer, { bounds, count }: AttributeList): void {
    const { places } = this;
    this.count = 0;
    for (let place = 0; place < count; place++) {
      let low = 0;
      let high = this.count;
      let probe = high - 1;
      while (low < high) {
        const difference = compareNames(bytes, bounds, place, places[probe]!);
        if (difference === 0) break;
        if (difference > 0) low = probe + 1;
        else high = probe;
        probe = (low + high) >> 1;
      }
      if (low < high) {
        places[probe] = place;
        continue;
      }
      for (let at = this.count; at > low; at--) places[at] = places[at - 1]!;
      places[low] = place;
      this.count += 1;
    }
  }
}

function compareNames(bytes: Buffer, bounds: Int32Array, place: number, other: number): number {
  const at = 4 * place;
  const otherAt = 4 * other;
  return compareBytes(bytes, bounds[at]!, bounds[at + 1]!, bounds[otherAt]!, bounds[otherAt + 1]!);
}
