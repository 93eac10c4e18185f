import { fromBinary } from "@bufbuild/protobuf";
import {
  type Attribute,
  type LogBatch,
  LogBatchSchema,
  type LogRecord,
} from "#proto/gen/fleetlog/v1/log_pb.ts";
import { type OtlpBatch, Transcoder } from "../transcode.ts";
import { encodeOtlp, type OtlpRecord, type OtlpRequest } from "./otlp.ts";

export interface DecodedBatch extends Omit<OtlpBatch, "bytes"> {
  readonly bytes: Buffer;
  readonly batch: LogBatch;
}

/** Transcodes a request and decodes its batches. */
export function transcode(
  request: OtlpRequest | Buffer,
  transcoder = new Transcoder(["host.name"]),
): DecodedBatch[] {
  const bytes = Buffer.isBuffer(request) ? request : encodeOtlp(request);
  return [...transcoder.transcode(bytes)].map((one) => ({
    ...one,
    batch: fromBinary(LogBatchSchema, one.bytes),
  }));
}

/** What becomes of one record. */
export function transcodeRecord(record: OtlpRecord): LogRecord {
  const [one] = transcode({ resourceLogs: [{ scopeLogs: [{ logRecords: [record] }] }] });
  return one!.batch.records[0]!;
}

/** Attributes as an object of plain values; null for none. */
export function plainAttributes(attributes: readonly Attribute[]): Record<string, unknown> {
  return Object.fromEntries(attributes.map(({ key, value }) => [key, value.value ?? null]));
}
