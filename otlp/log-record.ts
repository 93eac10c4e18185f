import type { WireReader } from "#batch/wire-reader.ts";
import { knownMax, logRecordTags as tags } from "./otlp-tags.ts";

/**
 * Where the fields of one OpenTelemetry LogRecord lie in the request's bytes. One object serves all records, so that
 * reading one allocates nothing. Absent fields are empty or 0; of a repeated singular field the last one counts.
 */
export class LogRecordFields {
  timeLow = 0;
  timeHigh = 0;
  observedLow = 0;
  observedHigh = 0;
  severity = 0;
  flags = 0;
  droppedAttributes = 0;
  severityTextStart = 0;
  severityTextEnd = 0;
  bodyStart = 0;
  bodyEnd = 0;
  hasBody = false;
  /** Set by who reads the attributes: a record without time may still have what no other has. */
  hasUid = false;
  traceIdStart = 0;
  traceIdEnd = 0;
  spanIdStart = 0;
  spanIdEnd = 0;
  eventNameStart = 0;
  eventNameEnd = 0;
  attributeCount = 0;
  /** All attributes lie between these; there may be other fields, too. */
  attributesStart = 0;
  attributesEnd = 0;

  /** Reads the LogRecord that fills the next `size` bytes. */
  read(reader: WireReader, size: number): void {
    const outerEnd = reader.end;
    reader.end = reader.position + size;
    this.#clear();
    while (reader.position < reader.end) {
      const fieldStart = reader.position;
      const tag = reader.tag();
      switch (tag) {
        case tags.attributes: {
          const attributeSize = reader.size();
          reader.position += attributeSize;
          if (this.attributeCount++ === 0) this.attributesStart = fieldStart;
          this.attributesEnd = reader.position;
          break;
        }
        case tags.timeUnixNano:
          reader.fixed64();
          this.timeLow = reader.low;
          this.timeHigh = reader.high;
          break;
        case tags.observedTimeUnixNano:
          reader.fixed64();
          this.observedLow = reader.low;
          this.observedHigh = reader.high;
          break;
        case tags.severityNumber:
          reader.varint();
          this.severity = reader.low;
          break;
        case tags.body: {
          const bodySize = reader.size();
          this.hasBody = true;
          this.bodyStart = reader.position;
          this.bodyEnd = reader.position += bodySize;
          break;
        }
        case tags.severityText: {
          const textSize = reader.size();
          this.severityTextStart = reader.position;
          this.severityTextEnd = reader.position += textSize;
          break;
        }
        case tags.traceId: {
          const idSize = reader.size();
          this.traceIdStart = reader.position;
          this.traceIdEnd = reader.position += idSize;
          break;
        }
        case tags.spanId: {
          const idSize = reader.size();
          this.spanIdStart = reader.position;
          this.spanIdEnd = reader.position += idSize;
          break;
        }
        case tags.eventName: {
          const nameSize = reader.size();
          this.eventNameStart = reader.position;
          this.eventNameEnd = reader.position += nameSize;
          break;
        }
        case tags.droppedAttributesCount:
          reader.varint();
          this.droppedAttributes = reader.low >>> 0;
          break;
        case tags.flags:
          this.flags = reader.fixed32();
          break;
        default:
          reader.skipUnknown(tag, knownMax.logRecord);
      }
    }
    reader.end = outerEnd;
  }

  get hasTime(): boolean {
    return (this.timeLow | this.timeHigh | this.observedLow | this.observedHigh) !== 0;
  }

  #clear(): void {
    this.timeLow = this.timeHigh = this.observedLow = this.observedHigh = 0;
    this.severity = this.flags = this.droppedAttributes = this.attributeCount = 0;
    this.severityTextStart = this.severityTextEnd = this.bodyStart = this.bodyEnd = 0;
    this.traceIdStart = this.traceIdEnd = this.spanIdStart = this.spanIdEnd = 0;
    this.eventNameStart = this.eventNameEnd = this.attributesStart = this.attributesEnd = 0;
    this.hasBody = this.hasUid = false;
  }
}
