import { SummaryWriter } from "#search/summary-writer.ts";
import { copyHeader, copyTrailer } from "./copy-format.ts";
import { repairTexts } from "./cut-text.ts";
import { batchTags } from "./log-tags.ts";
import { RecordColumns, recordFlags } from "./record-columns.ts";
import { RecordFields } from "./record-fields.ts";
import { RecordStatistics } from "./record-statistics.ts";
import { addBatchTerms, addRecordTerms } from "./record-terms.ts";
import { type Reception, RecordTimes } from "./record-time.ts";
import type { ScannedBatch } from "./scan.ts";
import { Timestamp } from "./timestamp.ts";
import { WireReader } from "./wire-reader.ts";

/**
 * The records of one flush as the bytes of one COPY, a row per batch: see `copyStatement`.
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
 * The arrays of `RecordColumns` cost what rows of records did, at 100 records a batch; these are figures of rows. The
 * summaries cost 0.29 µs a record more.
 *
 * Attributes are JSON text, NULL where a record has none: PostgreSQL parses them for who reads them. Of attributes that
 * share a name jsonb keeps the last.
 */
export class CopyRows {
  /** Of the rows, per minute and severity. */
  readonly statistics = new RecordStatistics();
  /** What the rows can be searched for. */
  readonly summary = new SummaryWriter();
  readonly #bytesMax: number;
  readonly #record = new RecordFields();
  readonly #columns = new RecordColumns();
  readonly #time = new Timestamp();
  #buffer = Buffer.allocUnsafeSlow(64 * 1024);
  #view = new DataView(this.#buffer.buffer);
  #position = 0;
  #rowCount = 0;
  #recordCount = 0;

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

  get recordCount(): number {
    return this.#recordCount;
  }

  /** Adds the accepted records of a batch. Their indexes are those in the batch as sent: rejected ones leave a gap. */
  append(batch: ScannedBatch, batchId: bigint, reception: Reception): void {
    const times = new RecordTimes(batch, reception);
    this.summary.startBatch(batchId, batch.acceptedCount);
    addBatchTerms(this.summary.terms, batch);
    const { bytes, rejections, cutRecords } = batch;
    const flags = batch.hasCutAttributes ? recordFlags.isTextRepaired : 0;
    const reader = new WireReader(bytes);
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
        this.#add(repaired, repaired.length, batchId, index, times, flags | recordFlags.isTextRepaired);
      } else {
        this.#record.read(reader, size);
        this.#add(bytes, size, batchId, index, times, flags);
      }
      if (cut < cutRecords.length && cutRecords[cut] === index) cut += 1;
      index += 1;
    }
    this.#endRow(batchId);
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
    this.#recordCount = 0;
    this.#columns.clear();
    this.statistics.clear();
    this.summary.clear();
  }

  #add(
    bytes: Buffer,
    size: number,
    batchId: bigint,
    index: number,
    times: RecordTimes,
    ownFlags: number,
  ): void {
    if (this.#columns.isFullFor(size)) this.#endRow(batchId);
    const record = this.#record;
    const flags = ownFlags | (times.set(this.#time, record) << recordFlags.timeSourceShift);
    this.#columns.add(bytes, size, record, index, this.#time, flags);
    this.statistics.add(this.#time.minute, record.severity);
    addRecordTerms(this.summary.terms, bytes, record);
  }

  /** Writes what was added since the last row as a row. */
  #endRow(batchId: bigint): void {
    const columns = this.#columns;
    if (columns.count === 0) return;
    this.#reserve(columns.byteCount);
    this.#position = columns.write(this.#buffer, this.#view, this.#position, batchId);
    this.#rowCount += 1;
    this.#recordCount += columns.count;
    columns.clear();
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
