import { ArrayColumn, FixedColumn } from "./array-column.ts";
import { copyColumns, rowOverheadBytes, writeNull } from "./copy-format.ts";
import type { RareFields } from "./rare-fields.ts";
import type { RecordFields } from "./record-fields.ts";
import { rareStringFields } from "./string-fields.ts";
import { Timestamp } from "./timestamp.ts";

/** A flag of a record: a bit, and the place of its TimeSource. */
export const recordFlags = { isTextRepaired: 1, timeSourceShift: 1 } as const;

/**
 * A row has no more records, and no more bytes of them on the wire unless it has one record. PostgreSQL reads and unpacks
 * an array whole, and finds a text in it by walking over those before, so these bound what one record costs.
 */
const rowLimits = { recordsMax: 1_000, bytesMax: 256 << 10 } as const;

/** The columns of one row of record_batches: some records of one batch, side by side. */
export class RecordColumns {
  readonly #times = new FixedColumn("timestamptz", 8, rowLimits.recordsMax);
  readonly #severities = new FixedColumn("int2", 2, rowLimits.recordsMax);
  readonly #indexes = new FixedColumn("int4", 4, rowLimits.recordsMax);
  readonly #loggers = new ArrayColumn("text");
  readonly #messages = new ArrayColumn("text");
  readonly #attributes = new ArrayColumn("text");
  readonly #rareStrings = rareStringFields.map(({ isId }) => new ArrayColumn(isId ? "bytea" : "text"));
  readonly #uptimes = new ArrayColumn("int8");
  readonly #observedTimes = new ArrayColumn("timestamptz");
  readonly #flags = new ArrayColumn("int2");
  /** Those that few records have, in the order of `copyColumns`. */
  readonly #rare = [...this.#rareStrings, this.#uptimes, this.#observedTimes, this.#flags];
  readonly #observedTime = new Timestamp();
  #count = 0;
  #wireBytes = 0;
  #firstIndex = 0;
  #lastIndex = 0;
  #hasRare = false;

  get count(): number {
    return this.#count;
  }

  /** Whether a record of `size` bytes on the wire belongs into the next row. */
  isFullFor(size: number): boolean {
    if (this.#count === rowLimits.recordsMax) return true;
    return this.#count > 0 && this.#wireBytes + size > rowLimits.bytesMax;
  }

  /**
   * Adds a record of `size` bytes whose fields lie in `bytes`. Its index in the batch is higher than that of the record
   * before it.
   */
  add(
    bytes: Buffer,
    size: number,
    record: RecordFields,
    index: number,
    time: Timestamp,
    flags: number,
  ): void {
    const place = this.#count;
    if (place === 0) this.#firstIndex = index;
    this.#lastIndex = index;
    this.#count += 1;
    this.#wireBytes += size;
    this.#times.setTime(place, time);
    this.#severities.setInt2(place, record.severity);
    this.#indexes.setInt4(place, index);
    this.#loggers.addBytes(bytes, record.loggerStart, record.loggerEnd);
    this.#messages.addBytes(bytes, record.messageStart, record.messageEnd);
    if (record.attributes.count > 0) {
      this.#attributes.padTo(place);
      this.#attributes.addAttributes(bytes, record.attributes, size);
    }
    if (record.rare !== undefined || flags > 0) this.#addRare(bytes, record.rare, flags, place);
  }

  /** Of the row, at most. */
  get byteCount(): number {
    const count = this.#count;
    let sum =
      this.#times.byteCount(count) +
      this.#severities.byteCount(count) +
      this.#indexes.byteCount(count) +
      this.#loggers.byteCount +
      this.#messages.byteCount +
      this.#attributes.byteCount;
    if (this.#hasRare) for (const column of this.#rare) sum += column.byteCount;
    return rowOverheadBytes + sum + (1 + this.#rare.length) * 4 * count;
  }

  /** Writes the row, and returns the position behind it. */
  write(out: Buffer, view: DataView, position: number, batchId: bigint): number {
    const count = this.#count;
    view.setInt16(position, copyColumns.length);
    view.setInt32(position + 2, 8);
    view.setBigInt64(position + 6, batchId);
    view.setInt32(position + 14, 4);
    view.setInt32(position + 18, this.#firstIndex);
    let end = this.#times.write(out, view, position + 22, count);
    end = this.#severities.write(out, view, end, count);
    end = this.#loggers.write(out, view, end);
    end = this.#messages.write(out, view, end);
    end = writeNullable(out, view, end, this.#attributes, count);
    const hasGap = this.#lastIndex - this.#firstIndex + 1 > count;
    end = hasGap ? this.#indexes.write(out, view, end, count) : writeNull(view, end);
    for (const column of this.#rare) end = writeNullable(out, view, end, column, count);
    return end;
  }

  clear(): void {
    this.#count = 0;
    this.#wireBytes = 0;
    this.#loggers.clear();
    this.#messages.clear();
    this.#attributes.clear();
    if (this.#hasRare) for (const column of this.#rare) column.clear();
    this.#hasRare = false;
  }

  #addRare(bytes: Buffer, rare: RareFields | undefined, flags: number, place: number): void {
    this.#hasRare = true;
    if (flags > 0) {
      this.#flags.padTo(place);
      this.#flags.addInt2(flags);
    }
    if (rare === undefined) return;
    for (const [at, column] of this.#rareStrings.entries()) {
      const [start, end] = [rare.bounds[2 * at]!, rare.bounds[2 * at + 1]!];
      if (start === end) continue;
      column.padTo(place);
      column.addBytes(bytes, start, end);
    }
    if (rare.hasUptime) {
      this.#uptimes.padTo(place);
      this.#uptimes.addInt8(rare.uptimeHigh, rare.uptimeLow);
    }
    if (rare.hasObservedTime) {
      this.#observedTime.setNanos(rare.observedHigh, rare.observedLow);
      this.#observedTimes.padTo(place);
      this.#observedTimes.addTime(this.#observedTime);
    }
  }
}

/** NULL when the column has no element, else one for each of the `count` records. */
function writeNullable(
  out: Buffer,
  view: DataView,
  position: number,
  column: ArrayColumn,
  count: number,
): number {
  if (!column.isEmpty) column.padTo(count);
  return column.write(out, view, position);
}
