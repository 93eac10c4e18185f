import { knownFieldMax, recordTags, unreadableTags } from "./log-tags.ts";
import { rareStringFields, type StringField } from "./string-fields.ts";
import type { WireReader } from "./wire-reader.ts";

/** Where the fields of an UnreadableRecord lie in the batch's bytes. */
export interface UnreadableBounds {
  jsonStart: number;
  jsonEnd: number;
  /** Before it was cut, as its server says. */
  jsonBytes: number;
  reasonStart: number;
  reasonEnd: number;
}

/**
 * Where the fields of a record lie that few records have. They are apart, and read by a table, because each of them costs
 * every record otherwise: looking at three more in scan and rows took 4 to 6 % more time.
 */
export class RareFields {
  /** Set when the record only stands for one that could not be read. */
  unreadable: UnreadableBounds | undefined;
  /** Start and end of each of {@link rareStringFields}. */
  readonly bounds = new Int32Array(2 * rareStringFields.length);
  /** Nanoseconds since the device booted, and since 1970, in two signed halves each; both 0: the record has none. */
  uptimeHigh = 0;
  uptimeLow = 0;
  observedHigh = 0;
  observedLow = 0;

  clear(): void {
    this.unreadable = undefined;
    this.uptimeHigh = 0;
    this.uptimeLow = 0;
    this.observedHigh = 0;
    this.observedLow = 0;
    this.bounds.fill(0);
  }

  /** Reads what follows a tag that is none of the usual fields. */
  read(reader: WireReader, tag: number): void {
    if (tag === recordTags.unreadable) return this.#readUnreadable(reader, reader.size());
    if (tag === recordTags.uptimeNano || tag === recordTags.observedTimeUnixNano)
      return this.#readTime(reader, tag);
    const at = rareStringFields.findIndex((field) => field.tag === tag);
    if (at < 0) return reader.skipUnknown(tag, knownFieldMax.record);
    const size = reader.size();
    if (size === 0) reader.isCanonical = false;
    this.bounds[2 * at] = reader.position;
    this.bounds[2 * at + 1] = reader.position += size;
    const { isId, bytesMax } = rareStringFields[at]!;
    if (isId && size === bytesMax && isZero(reader.bytes, reader.position - size, reader.position)) {
      reader.isCanonical = false;
      this.bounds[2 * at] = this.bounds[2 * at + 1] = 0;
    }
  }

  startOf(field: StringField): number {
    return this.bounds[2 * rareStringFields.indexOf(field)]!;
  }

  endOf(field: StringField): number {
    return this.bounds[2 * rareStringFields.indexOf(field) + 1]!;
  }

  get hasUptime(): boolean {
    return (this.uptimeHigh | this.uptimeLow) !== 0;
  }

  get hasObservedTime(): boolean {
    return (this.observedHigh | this.observedLow) !== 0;
  }

  #readTime(reader: WireReader, tag: number): void {
    reader.fixed64();
    const { high, low } = reader;
    if ((high | low) === 0) reader.isCanonical = false;
    if (tag === recordTags.uptimeNano) [this.uptimeHigh, this.uptimeLow] = [high, low];
    else [this.observedHigh, this.observedLow] = [high, low];
  }

  #readUnreadable(reader: WireReader, size: number): void {
    const recordEnd = reader.end;
    reader.end = reader.position + size;
    const found = this.unreadable ?? { jsonStart: 0, jsonEnd: 0, jsonBytes: 0, reasonStart: 0, reasonEnd: 0 };
    while (reader.position < reader.end) {
      const tag = reader.tag();
      if (tag === unreadableTags.json) {
        const size = reader.size();
        found.jsonStart = reader.position;
        found.jsonEnd = reader.position += size;
      } else if (tag === unreadableTags.jsonBytes) {
        reader.varint();
        found.jsonBytes = reader.low >>> 0;
      } else if (tag === unreadableTags.reason) {
        const size = reader.size();
        found.reasonStart = reader.position;
        found.reasonEnd = reader.position += size;
      } else {
        reader.skipUnknown(tag, knownFieldMax.unreadable);
      }
    }
    this.unreadable = found;
    reader.end = recordEnd;
  }
}

function isZero(bytes: Buffer, start: number, end: number): boolean {
  for (let at = start; at < end; at++) if (bytes[at] !== 0) return false;
  return true;
}
