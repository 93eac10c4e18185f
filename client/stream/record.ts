import { create, toBinary } from "@bufbuild/protobuf";
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import type { AllFields } from "#proto/all-fields.ts";
import { type AttributeValue, createAttributes } from "#proto/attributes.ts";
import { StreamLogsRequestSchema } from "#proto/gen/fleetlog/v1/ingest_pb.ts";
import { DeviceInfoSchema, LogRecordSchema } from "#proto/gen/fleetlog/v1/log_pb.ts";

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
  /** A number without a fraction is sent as an integer. */
  readonly attributes?: Readonly<Record<string, AttributeValue>>;
}

/** What a device says about itself; what is absent is unknown. */
export interface DeviceInfo {
  readonly firmware?: string;
  readonly hardware?: string;
  readonly site?: string;
  readonly attributes?: Readonly<Record<string, AttributeValue>>;
}

/** What a request says beside its batch, at the time when it is written. */
export interface RequestOptions {
  /** Nanoseconds since the boot in which the records were made; 0n: unknown. */
  readonly uptimeNano: bigint;
  /** How many rejections an ack lists, 1 to 100; 0: at most 16, and fewer where it would exceed 1 KiB. */
  readonly rejectionsMax: number;
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

function writeAttributes(
  writer: BinaryWriter,
  number: number,
  attributes: Readonly<Record<string, AttributeValue>>,
) {
  for (const key of Object.keys(attributes).sort()) {
    writer.tag(number, WireType.LengthDelimited).fork();
    if (key !== "") writer.tag(1, WireType.LengthDelimited).string(key);
    writeValue(writer, attributes[key] ?? null);
    writer.join();
  }
}

/** As {@link createAttributes} chooses the type. */
function writeValue(writer: BinaryWriter, value: AttributeValue): void {
  if (value === null) return;
  if (typeof value === "string") writer.tag(2, WireType.LengthDelimited).string(value);
  else if (typeof value === "boolean") writer.tag(3, WireType.Varint).bool(value);
  else if (typeof value === "bigint" || Number.isSafeInteger(value))
    writer.tag(4, WireType.Varint).sint64(value);
  else writer.tag(5, WireType.Bit64).double(value);
}

/** Encodes a DeviceInfo for {@link encodeRequest}. */
export function encodeDeviceInfo({ attributes = {}, ...texts }: DeviceInfo): Uint8Array {
  const message = create(DeviceInfoSchema, { ...texts, attributes: createAttributes(attributes) });
  return toBinary(DeviceInfoSchema, message);
}

/** Encodes the fields of a request beside its batch, to be written behind it; empty without any. */
export function encodeRequestOptions({ uptimeNano, rejectionsMax }: RequestOptions): Uint8Array {
  const writer = new BinaryWriter();
  if (uptimeNano !== 0n) writer.tag(3, WireType.Bit64).fixed64(uptimeNano);
  if (rejectionsMax !== 0) writer.tag(4, WireType.Varint).uint32(rejectionsMax);
  return writer.finish();
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
export function encodeRequest(
  header: RequestHeader,
  records: readonly Uint8Array[],
  device?: Uint8Array,
): Buffer {
  const writer = new BinaryWriter();
  writer.tag(1, WireType.LengthDelimited).fork();
  writer.tag(1, WireType.LengthDelimited).string(header.deviceId);
  writer.tag(2, WireType.LengthDelimited).string(header.sessionId);
  writer.tag(3, WireType.Varint).uint64(header.sequence);
  for (const record of records) writer.tag(4, WireType.LengthDelimited).bytes(record);
  if (device) writer.tag(7, WireType.LengthDelimited).bytes(device);
  const bytes = writer.join().finish();
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** The request with the options behind its batch. */
export function withOptions(request: Buffer, encodeOptions: (() => Uint8Array) | undefined): Buffer {
  const options = encodeOptions?.();
  return options === undefined || options.length === 0 ? request : Buffer.concat([request, options]);
}
