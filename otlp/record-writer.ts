import { FormWriter } from "#batch/form-writer.ts";
import { limits } from "#batch/limits.ts";
import { batchTags, recordTags } from "#batch/log-tags.ts";
import type { WireReader } from "#batch/wire-reader.ts";
import { AnyValue, valueKind } from "./any-value.ts";
import { AttributeWriter } from "./attribute-writer.ts";
import { JsonText } from "./json-text.ts";
import { LogRecordFields } from "./log-record.ts";
import { logRecordTags } from "./otlp-tags.ts";
import type { Bounds } from "./request-groups.ts";

/** Room for the length of a record: as many bytes as most lengths have. */
const guessedSize = 0x80;
/** A batch and one record beside it, which has as many bytes as a batch at most, and in JSON up to six times as many. */
const bufferBytes = 8 * limits.batchBytesMax;

/** The attributes that hold what LogRecord has no field for. */
const names = {
  flags: "otel.trace_flags",
  droppedAttributes: "otel.dropped_attributes_count",
  traceId: "otel.trace_id",
  spanId: "otel.span_id",
} as const;
const extraMax = Object.keys(names).length;

/**
 * Writes OpenTelemetry's LogRecords as records of a LogBatch, from wire bytes to wire bytes. Limits on a record are left
 * to the scan of the batch, which rejects the record with its reason; only what cannot be written so is left out here,
 * and a record `unreadable` with the reason and the beginning of its JSON stands in its place.
 */
export class RecordWriter {
  readonly writer = new FormWriter(bufferBytes);
  readonly fields = new LogRecordFields();
  readonly json = new JsonText(this.writer);
  readonly attributes = new AttributeWriter(this.writer, this.json);
  readonly #body = new AnyValue();

  /**
   * Writes the record in `fields`, which was read from the reader's bytes, with tag and length. Returns why it cannot be
   * written, in which case what was written is of no use.
   */
  write(reader: WireReader, logger: Bounds): string | undefined {
    const { writer } = this;
    writer.tag(batchTags.records);
    writer.position += 2;
    const start = writer.position;
    const problem = this.#fields(reader, logger);
    writer.lengthBefore(start, guessedSize);
    return problem;
  }

  /** Why the record's message is too long, if it is a text. */
  bodyProblem(reader: WireReader): string | undefined {
    const { start, end, kind } = this.#readBody(reader);
    if (kind !== valueKind.string || end - start <= limits.messageBytesMax) return undefined;
    return `message is ${end - start} bytes long, the limit is ${limits.messageBytesMax}`;
  }

  #readBody(reader: WireReader): AnyValue {
    const { fields } = this;
    reader.position = fields.bodyStart;
    reader.end = fields.bodyEnd;
    this.#body.read(reader, fields.bodyEnd - fields.bodyStart);
    return this.#body;
  }

  #fields(reader: WireReader, logger: Bounds): string | undefined {
    const { writer, fields } = this;
    const { bytes } = reader;
    if ((fields.timeLow | fields.timeHigh) !== 0) {
      writer.tag(recordTags.timeUnixNano);
      writer.fixed32(fields.timeLow);
      writer.fixed32(fields.timeHigh);
    }
    if (fields.severity !== 0) {
      writer.tag(recordTags.severity);
      writer.varint(fields.severity >>> 0);
    }
    if (logger.start < logger.end) writer.field(recordTags.logger, bytes, logger.start, logger.end);
    const problem = this.#writeBody(reader) ?? this.#writeAttributes(reader);
    this.#writeId(bytes, recordTags.traceId, limits.traceIdBytes, fields.traceIdStart, fields.traceIdEnd);
    this.#writeId(bytes, recordTags.spanId, limits.spanIdBytes, fields.spanIdStart, fields.spanIdEnd);
    if (fields.eventNameStart < fields.eventNameEnd)
      writer.field(recordTags.eventName, bytes, fields.eventNameStart, fields.eventNameEnd);
    if (fields.severityTextStart < fields.severityTextEnd)
      writer.field(recordTags.severityText, bytes, fields.severityTextStart, fields.severityTextEnd);
    if ((fields.observedLow | fields.observedHigh) !== 0) {
      writer.tag(recordTags.observedTimeUnixNano);
      writer.fixed32(fields.observedLow);
      writer.fixed32(fields.observedHigh);
    }
    return problem;
  }

  /** A text as it is; anything else as JSON, but bytes as base64. */
  #writeBody(reader: WireReader): string | undefined {
    const { writer, json, fields } = this;
    if (!fields.hasBody) return undefined;
    const body = this.#readBody(reader);
    if (body.kind === valueKind.none) return undefined;
    if (body.kind === valueKind.string) {
      if (body.start < body.end) writer.field(recordTags.message, reader.bytes, body.start, body.end);
      return undefined;
    }
    writer.tag(recordTags.message);
    const start = ++writer.position;
    json.reset(limits.messageBytesMax);
    if (body.kind === valueKind.bytes) json.base64(reader.bytes, body.start, body.end);
    else json.value(reader, body);
    writer.lengthBefore(start, 0);
    return json.problem && `body ${json.problem}`;
  }

  #writeAttributes(reader: WireReader): string | undefined {
    const { fields, attributes } = this;
    reader.position = fields.attributesStart;
    reader.end = fields.attributesEnd;
    let problem: string | undefined;
    for (let index = 0; reader.position < reader.end && problem === undefined; ) {
      const tag = reader.tag();
      if (tag !== logRecordTags.attributes) {
        reader.skip(tag); // was read before
        continue;
      }
      const size = reader.size();
      const next = reader.position + size;
      const fault = attributes.copy(reader, size, recordTags.attributes);
      if (!fields.hasTime && attributes.wroteUid(reader.bytes)) fields.hasUid = true;
      if (fault !== undefined) problem = `attributes: the value of entry ${index} ${fault}`;
      reader.position = next;
      index += 1;
    }
    // They are not to cost a record its place.
    if (fields.attributeCount + extraMax <= limits.attributesMax) this.#writeExtra(reader.bytes);
    return problem;
  }

  #writeExtra(bytes: Buffer): void {
    const { fields, attributes } = this;
    if (fields.flags !== 0) attributes.number(recordTags.attributes, names.flags, fields.flags);
    if (fields.droppedAttributes !== 0)
      attributes.number(recordTags.attributes, names.droppedAttributes, fields.droppedAttributes);
    this.#keepInvalidId(bytes, names.traceId, limits.traceIdBytes, fields.traceIdStart, fields.traceIdEnd);
    this.#keepInvalidId(bytes, names.spanId, limits.spanIdBytes, fields.spanIdStart, fields.spanIdEnd);
  }

  #writeId(bytes: Buffer, tag: number, length: number, start: number, end: number): void {
    if (end - start === length) this.writer.field(tag, bytes, start, end);
  }

  /** As OpenTelemetry has it, a record with an id of another length belongs to no trace; it is not rejected for that. */
  #keepInvalidId(bytes: Buffer, name: string, length: number, start: number, end: number): void {
    if (end === start || end - start === length) return;
    this.attributes.text(
      recordTags.attributes,
      name,
      bytes.toString("hex", start, Math.min(end, start + 1024)),
    );
  }
}
