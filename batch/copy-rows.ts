import {
  copyColumns,
  copyHeader,
  copyTrailer,
  rowOverheadBytes,
  writeBytes,
  writeNull,
} from "./copy-format.ts";
import { repairTexts } from "./cut-text.ts";
import { jsonBytesPerByteMax, writeJsonAttributes } from "./json-bytes.ts";
import { batchTags } from "./log-tags.ts";
import { recordFlags, writeExtra } from "./record-extra.ts";
import { RecordFields } from "./record-fields.ts";
import { RecordStatistics } from "./record-statistics.ts";
import { type Reception, RecordTimes } from "./record-time.ts";
import type { ScannedBatch } from "./scan.ts";
import { Timestamp } from "./timestamp.ts";
import { WireReader } from "./wire-reader.ts";

const columnCount = copyColumns.length;

/**
 * The records of one flush as the bytes of one COPY: see `copyStatement`.
 *
 * Records go from the wire's bytes to the row's bytes with no message object between. A scanned batch is checked
 * already, so nothing is checked again. The buffer grows to what the flushes need, and is used again by the next.
 *
 * Cost, in million records a second of one core (Node 24.21, batches of 100 records of varied texts, one shape at a
 * time, user CPU time, best of five; protobuf-es 2.17 makes message objects from the same bytes, and no rows):
 *
 *     bytes/record                           scan   rows   both   fromBinary
 *     106, no attributes                      8.8    8.9    5.0          1.9
 *     140, two attributes                     5.0    3.5    2.1          1.0
 *     156, two attributes, text not ASCII     3.5    3.6    1.8          0.7
 *
 * Attributes are jsonb, NULL when there are none: a NULL takes no room in a row and no JSON parser, '{}' takes 5
 * bytes. Of attributes that share a name jsonb keeps the last.
 */
export class CopyRows {
  /** Of the rows, per minute and severity. */
  readonly statistics = new RecordStatistics();
  readonly #bytesMax: number;
  readonly #record = new RecordFields();
  readonly #time = new Timestamp();
  #buffer = Buffer.allocUnsafeSlow(64 * 1024);
  #view = new DataView(this.#buffer.buffer);
  #position = 0;
  #rowCount = 0;

  /** `bytesMax` bounds the buffer; {@link copyBytesMax} says how much the flush limits ask for. */
  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
    this.clear();
  }

  get rowCount(): number {
    return this.#rowCount;
  }

  /** Bytes of the rows so far. */
  get byteCount(): number {
    return this.#position;
  }

  /** Adds the accepted records of a batch. idx is their place in the batch as sent: rejected ones leave a gap. */
  append(batch: ScannedBatch, batchId: bigint, reception: Reception): void {
    const times = new RecordTimes(batch, reception);
    const { bytes, rejections, cutRecords } = batch;
    const flags = batch.hasCutAttributes ? recordFlags.isTextRepaired : 0;
    const reader = new WireReader(bytes);
    const batchIdHigh = Number(batchId >> 32n);
    const batchIdLow = Number(batchId & 0xffff_ffffn);
    let index = 0;
    let rejected = 0;
    let cut = 0;
    while (reader.position < reader.end) {
      const tag = reader.tag();
      if (tag !== batchTags.records) {
        reader.skip(tag);
        continue;
      }
      const size = reader.size();
      if (rejected < rejections.length && rejections[rejected]!.index === index) {
        rejected += 1;
        reader.position += size;
      } else if (cut < cutRecords.length && cutRecords[cut] === index) {
        const repaired = repairTexts(bytes, reader.position, reader.position + size);
        reader.position += size;
        this.#record.read(new WireReader(repaired), repaired.length);
        // Of the bytes as sent: the remains of a character, at least one byte, become three.
        this.#reserve(rowOverheadBytes + size * jsonBytesPerByteMax);
        this.#writeRow(repaired, batchIdHigh, batchIdLow, index, times, flags | recordFlags.isTextRepaired);
      } else {
        this.#record.read(reader, size);
        this.#reserve(rowOverheadBytes + size * jsonBytesPerByteMax);
        this.#writeRow(bytes, batchIdHigh, batchIdLow, index, times, flags);
      }
      if (cut < cutRecords.length && cutRecords[cut] === index) cut += 1;
      index += 1;
    }
  }

  /** The whole COPY, from header to trailer: a view that holds until the next `append` or `clear`. */
  finish(): Buffer {
    this.#reserve(copyTrailer.length);
    copyTrailer.copy(this.#buffer, this.#position);
    return this.#buffer.subarray(0, this.#position + copyTrailer.length);
  }

  /** Forgets all rows, keeps the buffer. */
  clear(): void {
    copyHeader.copy(this.#buffer);
    this.#position = copyHeader.length;
    this.#rowCount = 0;
    this.statistics.clear();
  }

  #writeRow(
    bytes: Buffer,
    batchIdHigh: number,
    batchIdLow: number,
    index: number,
    times: RecordTimes,
    ownFlags: number,
  ): void {
    const record = this.#record;
    const view = this.#view;
    const start = this.#position;
    view.setInt16(start, columnCount);
    view.setInt32(start + 2, 8);
    view.setInt32(start + 6, batchIdHigh);
    view.setInt32(start + 10, batchIdLow);
    view.setInt32(start + 14, 4);
    view.setInt32(start + 18, index);
    view.setInt32(start + 22, 8);
    const flags = ownFlags | (times.set(this.#time, record) << recordFlags.timeSourceShift);
    this.#time.write(view, start + 26);
    view.setInt32(start + 34, 2);
    view.setInt16(start + 38, record.severity);
    const out = this.#buffer;
    let end = writeBytes(out, view, start + 40, bytes, record.loggerStart, record.loggerEnd);
    end = writeBytes(out, view, end, bytes, record.messageStart, record.messageEnd);
    end = record.attributes.count === 0 ? writeNull(view, end) : this.#writeAttributes(end, bytes);
    const { rare } = record;
    this.#position =
      rare === undefined && flags === 0
        ? writeNull(view, end)
        : writeExtra(out, view, end, bytes, rare, flags);
    this.#rowCount += 1;
    this.statistics.add(this.#time.minute, record.severity);
  }

  /** jsonb on the wire: the version, 1, and the JSON text. */
  #writeAttributes(position: number, bytes: Buffer): number {
    const out = this.#buffer;
    out[position + 4] = 1;
    const end = writeJsonAttributes(out, position + 5, bytes, this.#record.attributes);
    this.#view.setInt32(position, end - position - 4);
    return end;
  }

  /** Makes room for `count` more bytes: doubles the buffer, up to the bound. */
  #reserve(count: number): void {
    const wanted = this.#position + count;
    if (wanted <= this.#buffer.length) return;
    if (wanted > this.#bytesMax) {
      throw new RangeError(`copy rows: ${wanted} bytes wanted, the bound is ${this.#bytesMax}`);
    }
    const grown = Buffer.allocUnsafeSlow(Math.min(this.#bytesMax, Math.max(wanted, 2 * this.#buffer.length)));
    this.#buffer.copy(grown, 0, 0, this.#position);
    this.#buffer = grown;
    this.#view = new DataView(grown.buffer);
  }
}
