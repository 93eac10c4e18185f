import type { JsonObject } from "@bufbuild/protobuf";
import type { AllFields } from "#proto/all-fields.ts";
import type { LogRecordSchema, Severity } from "#proto/gen/fleetlog/v1/log_pb.ts";
import { batchTags } from "./log-tags.ts";
import { RecordFields } from "./record-fields.ts";
import type { Rejection, ScannedBatch } from "./scan.ts";
import { stringValues } from "./string-fields.ts";
import { WireReader } from "./wire-reader.ts";

/** A record of a batch: where it lies, and what of it is where. */
export interface BatchRecord {
  /** Place in LogBatch.records, from 0. */
  readonly index: number;
  /** Where its field begins, with tag and length. */
  readonly fieldStart: number;
  /** Where the encoded LogRecord lies. */
  readonly start: number;
  readonly end: number;
  /** Set when it is not stored. */
  readonly rejection: Rejection | undefined;
  /** The same object for every record: it holds until the next one is asked for. */
  readonly fields: RecordFields;
}

/**
 * The records of a batch that was scanned, in their order, the rejected ones too: the one way to walk over a batch, but
 * for the two loops that every record passes, {@link scan} and `CopyRows`, which make no object for any.
 */
export function* batchRecords(
  { bytes, rejections }: Pick<ScannedBatch, "bytes" | "rejections">,
  fields = new RecordFields(),
): Generator<BatchRecord> {
  const reader = new WireReader(bytes);
  let index = 0;
  let rejected = 0;
  while (reader.position < reader.end) {
    const fieldStart = reader.position;
    const tag = reader.tag();
    if (tag !== batchTags.records) {
      reader.skip(tag);
      continue;
    }
    const size = reader.size();
    const start = reader.position;
    fields.read(reader, size);
    const rejection = rejections[rejected]?.index === index ? rejections[rejected++] : undefined;
    yield { index, fieldStart, start, end: reader.position, rejection, fields };
    index += 1;
  }
}

/** A LogRecord that is accepted. */
export type DecodedRecord = Omit<
  AllFields<typeof LogRecordSchema>,
  "unreadable" | "attributes" | "uptimeNano" | "observedTimeUnixNano"
> & {
  /** By name, as JSON values. */
  readonly attributes: JsonObject;
};

export function decodeRecord(bytes: Buffer, fields: RecordFields): DecodedRecord {
  return {
    timeUnixNano: (BigInt(fields.timeHigh >>> 0) << 32n) | BigInt(fields.timeLow >>> 0),
    severity: fields.severity as Severity,
    attributes: decodeAttributes(bytes, fields),
    ...stringValues((field) => {
      const [start, end] = [fields.startOf(field), fields.endOf(field)];
      return field.isId ? bytes.subarray(start, end) : bytes.toString("utf8", start, end);
    }),
  };
}

/** Of those that share a name the last counts. Also "__proto__" is a name like any other to fromEntries. */
function decodeAttributes(bytes: Buffer, { attributeCount, attributeBounds }: RecordFields) {
  const pairs: [string, string][] = [];
  for (let at = 0; at < 4 * attributeCount; at += 4) {
    const [keyStart, keyEnd, valueStart, valueEnd] = attributeBounds.subarray(at, at + 4);
    pairs.push([bytes.toString("utf8", keyStart, keyEnd), bytes.toString("utf8", valueStart, valueEnd)]);
  }
  return Object.fromEntries(pairs);
}
