import { create, toBinary } from "@bufbuild/protobuf";
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import { StreamLogsRequestSchema } from "#proto/gen/fleetlog/v1/ingest_pb.ts";
import { Severity } from "#proto/gen/fleetlog/v1/log_pb.ts";

/** One log record, as a device gives it to {@link encodeRecord}. */
export interface DeviceRecord {
  /** Nanoseconds since 1970-01-01T00:00:00Z; 0n or absent: the server's time of receipt is taken. */
  readonly timeUnixNano?: bigint;
  /** 0 (not said) to 24; see the Severity enum. */
  readonly severity?: Severity;
  readonly logger?: string;
  /**
   * The text. As bytes it travels untouched: what is not UTF-8 then reaches the server as it is and is refused
   * there by name, where a string would long have been altered to U+FFFD.
   */
  readonly message: string | Uint8Array;
  readonly attributes?: Readonly<Record<string, string>>;
}

/** The bytes of a LogBatch on its way: StreamLogsRequest around LogBatch. */
export interface RequestHeader {
  readonly deviceId: string;
  readonly sessionId: string;
  readonly sequence: bigint;
}

/**
 * Encodes one record as fleetlog.v1.LogRecord, to the byte as protobuf-es would, with the attributes by name: the
 * server recognises a batch that is sent again in any order, and in this one without effort. (It sorts by bytes, which
 * for names beyond U+FFFF is another order than this.)
 */
export function encodeRecord(record: DeviceRecord): Uint8Array {
  const writer = new BinaryWriter();
  const { timeUnixNano = 0n, severity = Severity.UNSPECIFIED, logger = "", message, attributes } = record;
  if (timeUnixNano !== 0n) writer.tag(1, WireType.Bit64).fixed64(timeUnixNano);
  if (severity !== Severity.UNSPECIFIED) writer.tag(2, WireType.Varint).int32(severity);
  if (logger !== "") writer.tag(3, WireType.LengthDelimited).string(logger);
  if (message.length > 0) {
    writer.tag(4, WireType.LengthDelimited);
    if (typeof message === "string") writer.string(message);
    else writer.bytes(message);
  }
  if (attributes) {
    for (const key of Object.keys(attributes).sort()) {
      writer.tag(5, WireType.LengthDelimited).fork();
      writer.tag(1, WireType.LengthDelimited).string(key);
      writer.tag(2, WireType.LengthDelimited).string(attributes[key] ?? "");
      writer.join();
    }
  }
  return writer.finish();
}

/**
 * Encodes StreamLogsRequest { batch } that declares the batches from the header's number to `lastSequence` as dropped.
 * The reason is cut to what the server takes.
 */
export function encodeDrop(header: RequestHeader, lastSequence: bigint, reason: string): Buffer {
  const cut = Buffer.from(reason.replaceAll("\0", "")).subarray(0, 200).toString();
  const batch = { ...header, dropped: { lastSequence, reason: cut } };
  return Buffer.from(toBinary(StreamLogsRequestSchema, create(StreamLogsRequestSchema, { batch })));
}

/** Encodes StreamLogsRequest { report_committed }. */
export function encodeWish(reportCommitted: Omit<RequestHeader, "sequence">): Buffer {
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
