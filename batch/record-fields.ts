import { AttributeList } from "./attribute-list.ts";
import { recordTags } from "./log-tags.ts";
import { RareFields } from "./rare-fields.ts";
import type { StringField } from "./string-fields.ts";
import type { WireReader } from "./wire-reader.ts";

/**
 * Where the fields of one record lie in the batch's bytes. One object serves all records of a batch, one after
 * the other, so that reading a record allocates nothing. Absent fields are empty or 0; of a repeated singular
 * field the last one counts.
 */
export class RecordFields {
  /** Nanoseconds since 1970 in two signed halves; both 0: the record has no time. */
  timeHigh = 0;
  timeLow = 0;
  severity = 0;
  loggerStart = 0;
  loggerEnd = 0;
  messageStart = 0;
  messageEnd = 0;
  readonly attributes = new AttributeList();
  /** What few records have; undefined when this one has none of it. */
  rare: RareFields | undefined;
  readonly #rare = new RareFields();

  /**
   * Reads the record that fills the next `size` bytes. Canonical has its fields in the order of their numbers, each
   * once and none with its default, and its attributes by rising name.
   */
  read(reader: WireReader, size: number): void {
    const outerEnd = reader.end;
    reader.end = reader.position + size;
    this.#clear();
    let before = 0;
    while (reader.position < reader.end) {
      const tag = reader.tag();
      if (tag < before || (tag === before && tag !== recordTags.attributes)) reader.isCanonical = false;
      before = tag;
      switch (tag) {
        case recordTags.timeUnixNano:
          reader.fixed64();
          this.timeHigh = reader.high;
          this.timeLow = reader.low;
          if ((reader.high | reader.low) === 0) reader.isCanonical = false;
          break;
        case recordTags.severity:
          reader.varint();
          this.severity = reader.low; // An enum is an int32: the high half is dropped, as protobuf does.
          if (reader.low === 0 || reader.high !== 0) reader.isCanonical = false;
          break;
        case recordTags.logger: {
          const size = reader.size();
          if (size === 0) reader.isCanonical = false;
          this.loggerStart = reader.position;
          this.loggerEnd = reader.position += size;
          break;
        }
        case recordTags.message: {
          const size = reader.size();
          if (size === 0) reader.isCanonical = false;
          this.messageStart = reader.position;
          this.messageEnd = reader.position += size;
          break;
        }
        case recordTags.attributes:
          this.attributes.read(reader, reader.size());
          break;
        default:
          this.#readRare(reader, tag);
      }
    }
    reader.end = outerEnd;
  }

  /** Where the value of one of {@link stringFields} begins; at its end where there is none. */
  startOf(field: StringField): number {
    if (field.localName === "logger") return this.loggerStart;
    if (field.localName === "message") return this.messageStart;
    return this.rare?.startOf(field) ?? 0;
  }

  endOf(field: StringField): number {
    if (field.localName === "logger") return this.loggerEnd;
    if (field.localName === "message") return this.messageEnd;
    return this.rare?.endOf(field) ?? 0;
  }

  #clear(): void {
    this.timeHigh = 0;
    this.timeLow = 0;
    this.severity = 0;
    this.loggerStart = 0;
    this.loggerEnd = 0;
    this.messageStart = 0;
    this.messageEnd = 0;
    this.attributes.count = 0;
    this.rare = undefined;
  }

  #readRare(reader: WireReader, tag: number): void {
    if (this.rare === undefined) {
      this.rare = this.#rare;
      this.rare.clear();
    }
    this.rare.read(reader, tag);
  }
}
