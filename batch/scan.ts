import { AttributeList } from "./attribute-list.ts";
import { type BatchIdentity, batchIdentity } from "./batch-identity.ts";
import { CutTexts } from "./cut-text.ts";
import { DeviceInfoFields } from "./device-info.ts";
import { checkedDropped, type Dropped, readDropped } from "./dropped.ts";
import { InvalidBatchError } from "./invalid-batch.ts";
import { limits } from "./limits.ts";
import { batchTags, knownFieldMax } from "./log-tags.ts";
import type { UnreadableBounds } from "./rare-fields.ts";
import { attributesFault, recordFault } from "./record-fault.ts";
import { RecordFields } from "./record-fields.ts";
import { RecordSummary } from "./record-summary.ts";
import type { BatchClock } from "./record-time.ts";
import { WireReader } from "./wire-reader.ts";

/** A batch that can be taken: its bytes, checked once, and what there is to know without reading them again. */
export interface ScannedBatch extends BatchIdentity {
  /** The bytes that were scanned, not a copy: they must not change as long as this object is in use. */
  readonly bytes: Buffer;
  /** Whether the bytes are the {@link canonicalForm} of the batch already, as those of most senders are. */
  readonly isCanonical: boolean;
  /** All records, the rejected ones too. */
  readonly recordCount: number;
  readonly acceptedCount: number;
  /** By rising index. */
  readonly rejections: readonly Rejection[];
  /**
   * Earliest and latest time of the accepted records that have one of their own, in µs since 1970 (up to 2^54, hence
   * bigint); undefined when none has. See {@link storedTimeRange}.
   */
  readonly firstTimeMicros: bigint | undefined;
  readonly lastTimeMicros: bigint | undefined;
  /** How many accepted records have no time of their own, and are dated by {@link RecordTimes}. */
  readonly untimedCount: number;
  /** What its accepted records say of uptimes and of times of observation; undefined: nothing. See {@link RecordTimes}. */
  readonly clock: BatchClock | undefined;
  /** Bit s is set when an accepted record has severity s. */
  readonly severities: number;
  /** How many accepted records have severity ERROR (17) or above. */
  readonly errorCount: number;
  /** Indexes of the accepted records with a text that was cut inside a character, rising. */
  readonly cutRecords: readonly number[];
  /** The attributes of all its records; undefined when it has none. */
  readonly attributes: AttributeList | undefined;
  /** Whether a text of them was cut inside a character. */
  readonly hasCutAttributes: boolean;
  /** What the device says about itself; undefined when it says nothing in this batch. */
  readonly deviceInfo: DeviceInfoFields | undefined;
  /** Set when the batch has no records and declares a part of its session as lost. */
  readonly dropped: Dropped | undefined;
}

/** A record that cannot be stored; its neighbours can. Its bytes: {@link rejectedBytes}. */
export interface Rejection {
  /** Place in LogBatch.records, from 0. */
  readonly index: number;
  /** The field, the problem of its value, and the limit. */
  readonly reason: string;
  /** Where the encoded LogRecord lies in the batch's bytes; its field begins before, with tag and length. */
  readonly fieldStart: number;
  readonly start: number;
  readonly end: number;
  /** Set when the scan had accepted it, and PostgreSQL refused it. */
  readonly wasAccepted?: true;
  /** Set when the record came as JSON that could not be read. */
  readonly unreadable?: UnreadableBounds;
}

export interface ScanOptions {
  /**
   * Whether a text that was cut inside a character is rejected, as everything else is that is not UTF-8. Server and
   * consumer must agree: an entry of the stream has it.
   */
  readonly rejectsCutText?: boolean | undefined;
}

// One for all batches: scanning is synchronous, and nothing of it outlives the call.
const record = new RecordFields();

/**
 * Reads one encoded fleetlog.v1.LogBatch once, from end to end, and decides what becomes of it. Throws
 * {@link InvalidBatchError}, and nothing else, when the batch cannot be taken as a whole.
 *
 * What is not protobuf is a fault of the whole batch, even when it lies within one record: a sender that writes such
 * bytes is broken, and nothing it wrote can be trusted. What is protobuf but cannot be stored (text that is not
 * UTF-8, a NUL, a limit) is a fault of its record alone.
 *
 * Reads as protobuf-es does (unknown fields skipped, the last of a repeated singular field counts, defaults for what
 * is absent), except that it is stricter where protobuf-es is lax: a known field with a wrong wire type, a field that
 * reaches beyond the message it is in, a length of more than 32 bits. Time and memory are bounded by the size of
 * the bytes, whatever lengths they declare.
 *
 * What it costs: see the table in copy-rows.ts.
 */
export function scan(encoded: Uint8Array, { rejectsCutText = false }: ScanOptions = {}): ScannedBatch {
  const bytes = Buffer.from(encoded.buffer, encoded.byteOffset, encoded.byteLength);
  if (bytes.length > limits.batchBytesMax) {
    throw new InvalidBatchError("batch", `is ${bytes.length} bytes, the limit is ${limits.batchBytesMax}`);
  }
  const reader = new WireReader(bytes);
  const text = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let deviceId = bytes.subarray(0, 0);
  let sessionId = deviceId;
  let sequence = 0n;
  let recordCount = 0;
  let dropped: Dropped | undefined;
  const rejections: Rejection[] = [];
  const cuts = new CutTexts(rejectsCutText);
  const cutRecords: number[] = [];
  let attributes: AttributeList | undefined;
  let deviceInfo: DeviceInfoFields | undefined;
  const summary = new RecordSummary();

  let before = 0;
  while (reader.position < reader.end) {
    const fieldStart = reader.position;
    const tag = reader.tag();
    if (tag < before || (tag === before && !isRepeated(tag))) reader.isCanonical = false;
    before = tag;
    switch (tag) {
      case batchTags.records: {
        if (recordCount === limits.recordsMax) {
          throw new InvalidBatchError("batch.records", `has more than ${limits.recordsMax} records`);
        }
        const size = reader.size();
        const start = reader.position;
        record.read(reader, size);
        const reason = recordFault(text, record, cuts);
        if (reason === undefined) {
          summary.add(record);
          if (cuts.wasFound) cutRecords.push(recordCount);
        } else {
          const unreadable = record.rare?.unreadable;
          const rejection = { index: recordCount, reason, fieldStart, start, end: start + size };
          rejections.push(unreadable === undefined ? rejection : { ...rejection, unreadable });
        }
        cuts.wasFound = false;
        recordCount += 1;
        break;
      }
      case batchTags.deviceId:
        deviceId = readBytes(reader);
        break;
      case batchTags.sessionId:
        sessionId = readBytes(reader);
        break;
      case batchTags.sequence:
        reader.varint();
        sequence = (BigInt(reader.high >>> 0) << 32n) | BigInt(reader.low >>> 0);
        if (sequence === 0n) reader.isCanonical = false;
        break;
      case batchTags.dropped:
        dropped = readDropped(reader, text, reader.size(), dropped ?? { lastSequence: 0n, reason: "" }, cuts);
        cuts.wasFound = false;
        break;
      case batchTags.attributes:
        attributes ??= new AttributeList();
        attributes.read(reader, reader.size());
        break;
      case batchTags.device:
        deviceInfo ??= new DeviceInfoFields();
        deviceInfo.read(reader, reader.size());
        break;
      default:
        reader.skipUnknown(tag, knownFieldMax.batch);
    }
  }

  const identity = batchIdentity(deviceId, sessionId, sequence);
  if (dropped !== undefined) dropped = checkedDropped(dropped, sequence, recordCount);
  else if (recordCount === 0) {
    throw new InvalidBatchError("batch.records", `is empty: a batch has 1 to ${limits.recordsMax} records`);
  }
  const deviceFault = deviceInfo?.fault(text, cuts);
  cuts.wasFound = false;
  const fault = (attributes && attributesFault(text, attributes, "batch.attributes", cuts)) ?? deviceFault;
  if (fault !== undefined) throw new InvalidBatchError(fault.field, fault.problem);
  return {
    ...identity,
    bytes,
    isCanonical: reader.isCanonical && rejections.length === 0,
    recordCount,
    acceptedCount: recordCount - rejections.length,
    rejections,
    firstTimeMicros: summary.firstTimeMicros,
    lastTimeMicros: summary.lastTimeMicros,
    untimedCount: summary.untimedCount,
    clock: summary.clock,
    severities: summary.severities,
    errorCount: summary.errorCount,
    cutRecords,
    attributes,
    hasCutAttributes: cuts.wasFound,
    deviceInfo,
    dropped,
  };
}

function isRepeated(tag: number): boolean {
  return tag === batchTags.records || tag === batchTags.attributes;
}

/** A record that was rejected, as sent, a view into the batch's bytes: the encoded LogRecord, or its text in JSON. */
export function rejectedBytes({ bytes }: ScannedBatch, { start, end, unreadable }: Rejection): Buffer {
  return unreadable === undefined
    ? bytes.subarray(start, end)
    : bytes.subarray(unreadable.jsonStart, unreadable.jsonEnd);
}

function readBytes(reader: WireReader): Buffer {
  const size = reader.size();
  const start = reader.position;
  if (size === 0) reader.isCanonical = false;
  reader.position += size;
  return reader.bytes.subarray(start, start + size);
}
