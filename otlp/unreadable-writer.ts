import { limits } from "#batch/limits.ts";
import { batchTags, recordTags, unreadableTags } from "#batch/log-tags.ts";
import type { WireReader } from "#batch/wire-reader.ts";
import { AnyValue, KeyValue } from "./any-value.ts";
import { logRecordTags } from "./otlp-tags.ts";
import type { RecordWriter } from "./record-writer.ts";
import type { Bounds } from "./request-groups.ts";

/** Room for lengths: as many bytes as the longest have. */
const guessedSize = 0x4000;

/**
 * Writes what stands for a record that cannot be written: the reason, and as much of its JSON as fits, in the form of
 * fleetlog.v1.LogRecord, to be read in dead_letters.
 */
export class UnreadableWriter {
  readonly #records: RecordWriter;
  readonly #body = new AnyValue();
  readonly #entry = new KeyValue();
  #count = 0;
  #bytesLeft = 0;

  constructor(records: RecordWriter) {
    this.#records = records;
  }

  startBatch(): void {
    this.#count = 0;
    this.#bytesLeft = limits.unreadableBytesMax;
  }

  /** Writes the record whose fields were read from the reader's bytes. */
  write(reader: WireReader, logger: Bounds, reason: string): void {
    const { writer } = this.#records;
    // Beyond the reported ones only their number counts.
    const isReported = ++this.#count <= limits.rejectionsMax;
    writer.tag(batchTags.records);
    const recordStart = (writer.position += 3);
    writer.tag(recordTags.unreadable);
    const start = (writer.position += 3);
    writer.tag(unreadableTags.json);
    const textStart = (writer.position += 3);
    if (isReported) this.#writeText(reader, logger);
    const textBytes = writer.position - textStart;
    const isWhole = isReported && this.#records.json.problem === undefined;
    writer.lengthBefore(textStart, guessedSize);
    this.#bytesLeft -= textBytes;
    writer.tag(unreadableTags.jsonBytes);
    // How long a truncated one would be, is not known.
    writer.varint(isWhole ? textBytes : textBytes + 1);
    writer.field(unreadableTags.reason, Buffer.from(isReported ? reason : ""));
    writer.lengthBefore(start, guessedSize);
    writer.lengthBefore(recordStart, guessedSize);
  }

  #writeText(reader: WireReader, logger: Bounds): void {
    const { json, fields } = this.#records;
    const { bytes } = reader;
    const text = (name: string, start: number, end: number) => {
      if (start === end) return;
      json.text(`,"${name}":`);
      json.string(bytes, start, end);
    };
    json.reset(this.#bytesLeft);
    json.isAbridged = true;
    json.text(`{"time_unix_nano":"${wide(fields.timeHigh, fields.timeLow)}","severity":${fields.severity}`);
    text("logger", logger.start, logger.end);
    text("event_name", fields.eventNameStart, fields.eventNameEnd);
    text("severity_text", fields.severityTextStart, fields.severityTextEnd);
    json.text(`,"observed_time_unix_nano":"${wide(fields.observedHigh, fields.observedLow)}"`);
    json.text(
      `,"trace_id":"${bytes.toString("hex", fields.traceIdStart, Math.min(fields.traceIdEnd, fields.traceIdStart + 64))}"`,
    );
    json.text(
      `,"span_id":"${bytes.toString("hex", fields.spanIdStart, Math.min(fields.spanIdEnd, fields.spanIdStart + 64))}"`,
    );
    json.text(',"message":');
    this.#body.kind = 0;
    if (fields.hasBody) {
      reader.position = fields.bodyStart;
      reader.end = fields.bodyEnd;
      this.#body.read(reader, fields.bodyEnd - fields.bodyStart);
    }
    json.value(reader, this.#body);
    this.#writeAttributes(reader);
    json.text("}");
    json.isAbridged = false;
  }

  #writeAttributes(reader: WireReader): void {
    const { json, fields } = this.#records;
    reader.position = fields.attributesStart;
    reader.end = fields.attributesEnd;
    let separator = ',"attributes":{';
    while (reader.position < reader.end && json.problem === undefined) {
      const tag = reader.tag();
      if (tag !== logRecordTags.attributes) {
        reader.skip(tag);
        continue;
      }
      this.#entry.read(reader, reader.size());
      json.text(separator);
      json.string(reader.bytes, this.#entry.keyStart, this.#entry.keyEnd);
      json.text(":");
      json.value(reader, this.#entry.value);
      separator = ",";
    }
    json.text(separator === "," ? "}" : "");
  }
}

function wide(high: number, low: number): bigint {
  return (BigInt(high >>> 0) << 32n) | BigInt(low >>> 0);
}
