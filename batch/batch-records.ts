import type { JsonObject } from "@bufbuild/protobuf";
import type { AllFields } from "#proto/all-fields.ts";
import type { LogRecordSchema, Severity } from "#proto/gen/fleetlog/v1/log_pb.ts";
import { decodeAttributes, toJsonObject } from "./attribute-value.ts";
import { decodeText } from "./cut-text.ts";
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
  /** Whether a text of it was cut inside a character. */
  readonly isCut: boolean;
  /** The same object for every record: it holds until the next one is asked for. */
  readonly fields: RecordFields;
}

/**
 * The records of a batch that was scanned, in their order, the rejected ones too: the one way to walk over a batch, but
 * for the two loops that every record passes, {@link scan} and `CopyRows`, which make no object for any.
 */
export function* batchRecords(
  { bytes, rejections, cutRecords }: Pick<ScannedBatch, "bytes" | "rejections" | "cutRecords">,
  fields = new RecordFields(),
): Generator<BatchRecord> {
  const reader = new WireReader(bytes);
  let index = 0;
  let rejected = 0;
  let cut = 0;
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
    const isCut = cutRecords[cut] === index;
    if (isCut) cut += 1;
    yield { index, fieldStart, start, end: reader.position, rejection, isCut, fields };
    index += 1;
  }
}

/** A LogRecord that is accepted. */
export type DecodedRecord = Omit<AllFields<typeof LogRecordSchema>, "unreadable" | "attributes"> & {
  /** By name, as JSON values. */
  readonly attributes: JsonObject;
};

export function decodeRecord(bytes: Buffer, fields: RecordFields): DecodedRecord {
  const { rare } = fields;
  return {
    timeUnixNano: toBigInt(fields.timeHigh, fields.timeLow),
    uptimeNano: rare === undefined ? 0n : toBigInt(rare.uptimeHigh, rare.uptimeLow),
    observedTimeUnixNano: rare === undefined ? 0n : toBigInt(rare.observedHigh, rare.observedLow),
    severity: fields.severity as Severity,
    attributes: toJsonObject(decodeAttributes(bytes, fields.attributes)),
    ...stringValues((field) => {
      const [start, end] = [fields.startOf(field), fields.endOf(field)];
      return field.isId ? bytes.subarray(start, end) : decodeText(bytes, start, end);
    }),
  };
}

function toBigInt(high: number, low: number): bigint {
  return (BigInt(high >>> 0) << 32n) | BigInt(low >>> 0);
}
