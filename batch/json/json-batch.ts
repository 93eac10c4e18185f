import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import { InvalidBatchError } from "../invalid-batch.ts";
import { limits } from "../limits.ts";
import { batchTags, droppedTags } from "../log-tags.ts";
import type { FieldFault } from "../record-fault.ts";
import { FieldNames } from "./field-names.ts";
import { JsonAttributes } from "./json-attributes.ts";
import { JsonDevice } from "./json-device.ts";
import { findField, readWholeField, skippedNull, textBytes, wrongKind, wrongValue } from "./json-fields.ts";
import { jsonKind } from "./json-kind.ts";
import type { Wide } from "./json-numbers.ts";
import type { JsonReader } from "./json-reader.ts";
import { JsonRecord } from "./json-record.ts";
import { type JsonText, WireWriter } from "./wire-writer.ts";
import { writeUnreadable } from "./write-unreadable.ts";

const field = {
  deviceId: 1,
  sessionId: 2,
  sequence: 3,
  records: 4,
  dropped: 5,
  attributes: 6,
  device: 7,
} as const;
const names = new FieldNames({
  device_id: field.deviceId,
  session_id: field.sessionId,
  sequence: field.sequence,
  records: field.records,
  dropped: field.dropped,
  attributes: field.attributes,
  device: field.device,
});
const droppedField = { lastSequence: 1, reason: 2 } as const;
const droppedNames = new FieldNames({
  last_sequence: droppedField.lastSequence,
  reason: droppedField.reason,
});

// Reading is synchronous: one of each serves all requests.
const record = new JsonRecord();
const attributes = new JsonAttributes();
const device = new JsonDevice();
/** A record has at most the bytes of its request, and a few for each of its fields. */
const writer = new WireWriter(limits.jsonBytesMax + 64 * 1024);

/** What a record that could not be read, or a declaration, has beside its text. */
const besideBytesMax = 2 * limits.unreadableReasonBytesMax;
const nothing: Buffer = Buffer.alloc(0);

/** The LogBatch of a request in JSON. A request may have several: the last one counts, and all of them cost. */
export class JsonBatch {
  /**
   * The first reason to refuse the request, in any of its batches. The rest is only
   * skipped then: a reason for each of 300,000 wrong values would cost 60 times what reading them does.
   */
  error: InvalidBatchError | undefined;
  /** Keys that log.proto does not have. */
  unknownFields = 0;
  #deviceId = nothing;
  #sessionId = nothing;
  readonly #sequence: Wide = { high: 0, low: 0 };
  #recordCount = 0;
  /** With those of an earlier array or batch that does not count: they cost as much. */
  #recordsRead = 0;
  #unreadableCount = 0;
  #unreadableBytes = 0;
  #hasDevice = false;
  #dropped: { readonly last: Wide; readonly reason: JsonText } | undefined;

  get sequence(): bigint {
    return (BigInt(this.#sequence.high) << 32n) | BigInt(this.#sequence.low);
  }

  /** Halves of a character, such as \ud83d alone, that became U+FFFD. */
  get replacedHalves(): number {
    return writer.replacedHalves;
  }

  /** Reads the object that begins at the reader's position, in place of what was read before. */
  read(reader: JsonReader): void {
    this.#clear();
    reader.enter();
    for (let isFirst = true; reader.nextKey(isFirst); isFirst = false) {
      const found = findField(names, reader);
      if (found === field.deviceId) this.#deviceId = this.#readName(reader, "batch.device_id");
      else if (found === field.sessionId) this.#sessionId = this.#readName(reader, "batch.session_id");
      else if (found === field.sequence) this.#readWhole(reader, "batch.sequence", this.#sequence);
      else if (found === field.records) this.#readRecords(reader);
      else if (found === field.dropped) this.#readDropped(reader);
      else if (found === field.attributes) this.#readAttributes(reader);
      else if (found === field.device) this.#readDevice(reader);
      else this.#skipUnknown(reader);
    }
  }

  /** The batch as every protobuf library would write it, in a buffer of its own. */
  encode(reader: JsonReader): Buffer {
    if (this.#dropped !== undefined) {
      const { last, reason } = this.#dropped;
      const bytesMax = reason.end - reason.start + besideBytesMax;
      const content = writer.open(batchTags.dropped, bytesMax);
      if (last.high !== 0 || last.low !== 0) {
        writer.varint(droppedTags.lastSequence);
        writer.varint64(last.high, last.low);
      }
      if (reason.end > reason.start) writer.text(droppedTags.reason, reader, reason);
      writer.close(content, bytesMax);
    }
    attributes.write(writer, reader, batchTags.attributes);
    if (this.#hasDevice) device.write(writer, reader, batchTags.device);
    const head = new BinaryWriter();
    if (this.#deviceId.length > 0) head.tag(1, WireType.LengthDelimited).bytes(this.#deviceId);
    if (this.#sessionId.length > 0) head.tag(2, WireType.LengthDelimited).bytes(this.#sessionId);
    if (this.sequence !== 0n) head.tag(3, WireType.Varint).uint64(this.sequence);
    return Buffer.concat([head.finish(), writer.bytes.subarray(0, writer.position)]);
  }

  #clear(): void {
    this.unknownFields = 0;
    this.#deviceId = this.#sessionId = nothing;
    this.#sequence.high = this.#sequence.low = 0;
    this.#dropped = undefined;
    this.#hasDevice = false;
    attributes.clear();
    writer.position = 0;
    writer.replacedHalves = 0;
  }

  /** Skips the next value, which is not what `name` takes. */
  #refuseKind(reader: JsonReader, name: string, wanted: string): void {
    if (this.error === undefined) this.error = wrongKind(reader, name, wanted);
    else reader.skip(reader.kind());
  }

  #readRecords(reader: JsonReader): void {
    this.#recordCount = 0;
    this.#unreadableCount = 0;
    this.#unreadableBytes = 0;
    writer.position = 0;
    if (skippedNull(reader)) return;
    if (reader.kind() !== jsonKind.array) return this.#refuseKind(reader, "batch.records", "an array");
    reader.enter();
    for (let isFirst = true; reader.nextElement(isFirst); isFirst = false) {
      const kind = reader.kind();
      if (this.error === undefined && ++this.#recordsRead > limits.recordsMax) {
        this.error = new InvalidBatchError("batch.records", `has more than ${limits.recordsMax} records`);
      }
      if (this.error === undefined) this.#readRecord(reader);
      else reader.skip(kind);
    }
  }

  #readRecord(reader: JsonReader): void {
    this.#recordCount += 1;
    const start = reader.position;
    const isReadable = record.read(reader);
    this.unknownFields += record.unknownFields;
    const bytesMax = isReadable ? record.bytesMax : limits.unreadableBytesMax + besideBytesMax;
    const content = writer.open(batchTags.records, bytesMax);
    if (isReadable) {
      record.write(writer, reader);
    } else {
      // Beyond the reported ones only their number counts.
      const isReported = ++this.#unreadableCount <= limits.rejectionsMax;
      const json = reader.bytes.subarray(start, reader.position);
      const bytesLeft = isReported ? limits.unreadableBytesMax - this.#unreadableBytes : 0;
      const reason = isReported ? record.problem(reader) : "";
      this.#unreadableBytes += writeUnreadable(writer, json, reason, bytesLeft);
    }
    writer.close(content, bytesMax);
    if (writer.position <= limits.batchBytesMax) return;
    const seen = `its first ${this.#recordCount} records are ${writer.position} bytes as protobuf`;
    this.error = new InvalidBatchError(
      "batch",
      `is too large: ${seen}, the limit is ${limits.batchBytesMax}`,
    );
  }

  #readAttributes(reader: JsonReader): void {
    attributes.read(reader);
    this.unknownFields += attributes.unknownFields;
    this.#refuse(attributes.fault(reader, "batch.attributes"));
  }

  #readDevice(reader: JsonReader): void {
    this.#hasDevice = !skippedNull(reader);
    if (!this.#hasDevice) return;
    this.#refuse(device.read(reader));
    this.unknownFields += device.unknownFields;
  }

  #refuse(fault: FieldFault | undefined): void {
    if (fault !== undefined) this.error ??= new InvalidBatchError(fault.field, fault.problem);
  }

  #readDropped(reader: JsonReader): void {
    this.#dropped = undefined;
    if (skippedNull(reader)) return;
    if (reader.kind() !== jsonKind.object) return this.#refuseKind(reader, "batch.dropped", "an object");
    const last: Wide = { high: 0, low: 0 };
    const reason: JsonText = { start: 0, end: 0, isPlain: true };
    reader.enter();
    for (let isFirst = true; reader.nextKey(isFirst); isFirst = false) {
      const found = findField(droppedNames, reader);
      if (found === undefined) this.#skipUnknown(reader);
      else if (found === droppedField.lastSequence) {
        this.#readWhole(reader, "batch.dropped.last_sequence", last);
      } else {
        const text = this.#readText(reader, "batch.dropped.reason");
        [reason.start, reason.end, reason.isPlain] = text
          ? [text.start, text.end, text.isPlain]
          : [0, 0, true];
      }
    }
    this.#dropped = { last, reason };
  }

  #readName(reader: JsonReader, name: string): Buffer {
    return this.#readText(reader, name) ? textBytes(reader) : nothing;
  }

  /** The reader, at the string that it read; undefined when there is none. */
  #readText(reader: JsonReader, name: string): JsonReader | undefined {
    if (skippedNull(reader)) return undefined;
    if (reader.kind() === jsonKind.string) {
      reader.string();
      return reader;
    }
    this.#refuseKind(reader, name, "a string");
    return undefined;
  }

  #readWhole(reader: JsonReader, name: string, into: Wide): void {
    reader.kind();
    const start = reader.position;
    if (readWholeField(reader, into) || this.error !== undefined) return;
    this.error = wrongValue(reader, start, name, "an integer from 0");
  }

  #skipUnknown(reader: JsonReader): void {
    this.unknownFields += 1;
    reader.skip(reader.kind());
  }
}
