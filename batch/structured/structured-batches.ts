import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import { InvalidBatchError } from "../invalid-batch.ts";
import { JsonReader } from "../json/json-reader.ts";
import { WireWriter } from "../json/wire-writer.ts";
import { writeUnreadable } from "../json/write-unreadable.ts";
import { limits } from "../limits.ts";
import { batchTags } from "../log-tags.ts";
import type { RecordBounds } from "./find-records.ts";
import { StructuredRecord } from "./structured-record.ts";

/** What a batch has beside its records: names, number, and their tags. */
const headBytesMax = 512;
const recordsBytesMax = limits.batchBytesMax - headBytesMax;
/** JSON that is read without a pause. */
const readBytesMax = 1024 * 1024;
/** The JSON of one record: what is longer cannot be a record of a batch. */
const recordJsonBytesMax = limits.batchBytesMax;

// Reading a record is synchronous: one of each serves all requests.
const record = new StructuredRecord();
/** A record has at most the bytes of its JSON, and longer names where objects are nested. */
const writer = new WireWriter(64 * 1024);

/** A part of a request that is one batch. */
export interface StructuredBatch {
  /** An encoded LogBatch. */
  readonly batch: Buffer;
  /** Index of its first record in the request. */
  readonly firstIndex: number;
  readonly recordCount: number;
  /** Each record has a time: another batch of the same content is a retry. */
  readonly isUnique: boolean;
}

/** What the records of a batch add up to. */
const emptyState = {
  unreadableCount: 0,
  /** Text kept of the unreadable records. */
  unreadableBytes: 0,
  timedCount: 0,
  untimedCount: 0,
};
type BatchState = typeof emptyState;

/** The identity of a request's only batch; of a sender without state only the device. */
export interface StructuredBatchHead {
  readonly deviceId: string;
  readonly sessionId?: string;
  readonly sequence?: bigint;
}

/**
 * Encodes the records of a body, one after the other, as batches that are as large as allowed: the same body always
 * makes the same batches. What is no record takes its place as an `unreadable` one, which the scan rejects.
 *
 * Gives undefined after about 1 MiB of JSON without a batch, so that the caller can let others work: rejected records of
 * 1 MiB each fill no batch.
 */
export function* structuredBatches(
  body: Buffer,
  bounds: readonly RecordBounds[],
  head: StructuredBatchHead,
): Generator<StructuredBatch | undefined> {
  let records: Buffer[] = [];
  let bytes = 0;
  let state = { ...emptyState };
  let firstIndex = 0;
  let readBytes = 0;
  const take = (nextIndex: number): StructuredBatch => {
    const batch = Buffer.concat([encodeHead(head), ...records]);
    const isUnique = state.timedCount > 0 && state.untimedCount === 0;
    const taken = { batch, firstIndex, recordCount: records.length, isUnique };
    [records, bytes, state, firstIndex] = [[], 0, { ...emptyState }, nextIndex];
    return taken;
  };
  for (const [index, [start, end]] of bounds.entries()) {
    const json = body.subarray(start, end);
    const before = { ...state };
    let encoded = encodeRecord(json, state);
    const isFull = records.length === limits.recordsMax || bytes + encoded.length > recordsBytesMax;
    if (isFull && records.length > 0) {
      Object.assign(state, before); // the record is of the next batch
      yield take(index);
      encoded = encodeRecord(json, state);
    }
    records.push(encoded);
    bytes += encoded.length;
    readBytes += json.length;
    if (readBytes < readBytesMax) continue;
    readBytes = 0;
    yield undefined;
  }
  if (records.length > 0) yield take(bounds.length);
}

/** One record as a field of its batch, in a buffer of its own. */
function encodeRecord(json: Buffer, state: BatchState): Buffer {
  writer.position = 0;
  const problem = writeRecord(json, state);
  if (problem !== undefined) {
    writer.position = 0;
    // Beyond the reported ones only their number counts.
    const isReported = ++state.unreadableCount <= limits.rejectionsMax;
    const keptBytesMax = isReported ? limits.unreadableBytesMax - state.unreadableBytes : 0;
    const bytesMax = keptBytesMax + 2 * limits.unreadableReasonBytesMax;
    const start = writer.open(batchTags.records, bytesMax);
    state.unreadableBytes += writeUnreadable(writer, json, isReported ? problem : "", keptBytesMax);
    writer.close(start, bytesMax);
  }
  return Buffer.from(writer.bytes.subarray(0, writer.position));
}

/** Returns why the JSON is no record. */
function writeRecord(json: Buffer, state: BatchState): string | undefined {
  if (json.length > recordJsonBytesMax) {
    return `record is ${json.length} bytes of JSON, the limit is ${recordJsonBytesMax}`;
  }
  const reader = new JsonReader(json);
  try {
    const isRecord = record.read(reader);
    reader.finish();
    if (!isRecord) return record.problem;
  } catch (error) {
    if (error instanceof InvalidBatchError) return error.message.replace(/^request/, "record");
    throw error;
  }
  const start = writer.open(batchTags.records, writer.bytes.length);
  const hasTime = record.write(writer, reader);
  writer.close(start, writer.bytes.length);
  if (writer.position > recordsBytesMax)
    return `record is ${writer.position} bytes, the limit of a batch is ${limits.batchBytesMax}`;
  if (hasTime) state.timedCount += 1;
  else state.untimedCount += 1;
  return undefined;
}

function encodeHead({ deviceId, sessionId = "", sequence = 0n }: StructuredBatchHead): Uint8Array {
  const head = new BinaryWriter();
  head.tag(1, WireType.LengthDelimited).string(deviceId);
  if (sessionId !== "") head.tag(2, WireType.LengthDelimited).string(sessionId);
  if (sequence !== 0n) head.tag(3, WireType.Varint).uint64(sequence);
  return head.finish();
}
