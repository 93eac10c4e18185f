import { create, toBinary } from "@bufbuild/protobuf";
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import type { AllFields } from "#proto/all-fields.ts";
import { StreamLogsRequestSchema } from "#proto/gen/fleetlog/v1/ingest_pb.ts";
import { LogRecordSchema } from "#proto/gen/fleetlog/v1/log_pb.ts";

type RecordValues = Omit<AllFields<typeof LogRecordSchema>, "unreadable">;

/**
 * One log record for {@link encodeRecord}. log.proto defines what each field may contain and what its
 * absence means.
 */
export interface DeviceRecord extends Partial<Omit<RecordValues, "message" | "attributes">> {
  /**
   * The text. Bytes are sent unchanged: the server then rejects invalid UTF-8 and names it, where a
   * string would already contain U+FFFD.
   */
  readonly message: string | Uint8Array;
  readonly attributes?: Readonly<Record<string, string>>;
}

/** Identifies a batch: device, session and number. */
export interface RequestHeader {
  readonly deviceId: string;
  readonly sessionId: string;
  readonly sequence: bigint;
}

/**
 * Encodes one record as fleetlog.v1.LogRecord, byte for byte as protobuf-es would, with attributes sorted
 * by name. The server recognises a resent batch in any attribute order, and in this one without extra
 * work. (It sorts by bytes, a different order for names beyond U+FFFF.)
 */
export function encodeRecord(record: DeviceRecord): Uint8Array {
  const writer = new BinaryWriter();
  for (const { localName, number } of LogRecordSchema.fields) {
    const value = record[localName as keyof DeviceRecord];
    if (typeof value === "bigint") {
      if (value !== 0n) writer.tag(number, WireType.Bit64).fixed64(value);
    } else if (typeof value === "number") {
      if (value !== 0) writer.tag(number, WireType.Varint).int32(value);
    } else if (typeof value === "string") {
      if (value !== "") writer.tag(number, WireType.LengthDelimited).string(value);
    } else if (value instanceof Uint8Array) {
      if (value.length > 0) writer.tag(number, WireType.LengthDelimited).bytes(value);
    } else if (value !== undefined) {
      writeAttributes(writer, number, value);
    }
  }
  return writer.finish();
}

function writeAttributes(writer: BinaryWriter, number: number, attributes: Readonly<Record<string, string>>) {
  for (const key of Object.keys(attributes).sort()) {
    writer.tag(number, WireType.LengthDelimited).fork();
    writer.tag(1, WireType.LengthDelimited).string(key);
    writer.tag(2, WireType.LengthDelimited).string(attributes[key] ?? "");
    writer.join();
  }
}

/**
 * Encodes StreamLogsRequest { batch } that declares the batches from the header's number to
 * `lastSequence` as dropped. Cuts the reason to the server's limit.
 */
export function encodeDroppedBatches(header: RequestHeader, lastSequence: bigint, reason: string): Buffer {
  const cut = Buffer.from(reason.replaceAll("\0", "")).subarray(0, 200).toString();
  const batch = { ...header, dropped: { lastSequence, reason: cut } };
  return Buffer.from(toBinary(StreamLogsRequestSchema, create(StreamLogsRequestSchema, { batch })));
}

/** Encodes StreamLogsRequest { report_committed }. */
export function encodeReportCommitted(reportCommitted: Omit<RequestHeader, "sequence">): Buffer {
  return Buffer.from(toBinary(StreamLogsRequestSchema, create(StreamLogsRequestSchema, { reportCommitted })));
}

/** Encodes StreamLogsRequest { batch } around records from {@link encodeRecord}. */
export function encodeRequest(header: RequestHeader, records: readonly Uint8Array[]): Buffer {
  const writer = new BinaryWriter();
  writer.tag(1, WireType.LengthDelimited).fork();
  writer.tag(1, WireType.LengthDelimited).string(header.deviceId);
  writer.tag(2, WireType.LengthDelimited).string(header.sessionId);
  writer.tag(3, WireType.Varint).uint64(header.sequence);
  for (const record of records) writer.tag(4, WireType.LengthDelimited).bytes(record);
  const bytes = writer.join().finish();
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
