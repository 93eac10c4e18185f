import { BinaryReader, WireType } from "@bufbuild/protobuf/wire";
import { InvalidBatchError } from "#batch/invalid-batch.ts";
import { readSequence } from "#batch/read-sequence.ts";

/**
 * The bytes of field 1, `batch`, of an encoded PushLogsRequest or StreamLogsRequest: a view, nothing is copied or
 * decoded. Empty when it is not there. A batch in several fields 1 is merged, as protobuf demands, which is what its
 * parts one after the other mean. Throws InvalidBatchError when the bytes are no message.
 */
export function unwrapRequest(request: Uint8Array): Uint8Array {
  const start = findLoneBatch(request);
  return start > 0 ? request.subarray(start) : unwrapSlowly(request);
}

/** Nearly always the whole request is one field: tag, length, batch. Where its bytes begin then; 0 when it is not so. */
function findLoneBatch(request: Uint8Array): number {
  if (request[0] !== batchTag) return 0;
  let length = 0;
  for (let at = 1; at <= lengthBytesMax; at += 1) {
    const byte = request[at] ?? 0x80;
    length |= (byte & 0x7f) << (7 * (at - 1));
    if (byte < 0x80) return at + 1 + length === request.length ? at + 1 : 0;
  }
  return 0;
}

function unwrapSlowly(request: Uint8Array): Uint8Array {
  const parts: Uint8Array[] = [];
  let fields = 0;
  try {
    const reader = new BinaryReader(request);
    while (reader.pos < reader.len) {
      if (++fields > fieldsMax) throw new Error(`it has more than ${fieldsMax} fields`);
      const [field, wireType] = reader.tag();
      if (field === 1 && wireType === WireType.LengthDelimited) parts.push(reader.bytes());
      else reader.skip(wireType, field);
    }
  } catch (error) {
    throw malformed(error);
  }
  return parts.length === 1 ? parts[0]! : Buffer.concat(parts);
}

/** The `report_committed` of a StreamLogsRequest, beside its batch or instead of one. */
export interface ProgressSubscription {
  /** The encoded SessionName of `report_committed`. */
  readonly session: Uint8Array;
  readonly hasBatch: boolean;
}

/**
 * The subscription in an encoded StreamLogsRequest. Undefined when there is none, as in nearly all of them, or when the
 * bytes are malformed, which {@link unwrapRequest} reports. A repeated one is merged, as protobuf demands.
 */
export function readSubscription(request: Uint8Array): ProgressSubscription | undefined {
  if (findLoneBatch(request) > 0) return undefined;
  const reader = new BinaryReader(request);
  try {
    let hasBatch = false;
    const session: Uint8Array[] = [];
    for (let fields = 0; reader.pos < reader.len; fields++) {
      if (fields === fieldsMax) return undefined;
      const [field, wireType] = reader.tag();
      if (field === 2 && wireType === WireType.LengthDelimited) session.push(reader.bytes());
      else {
        hasBatch ||= field === 1 && wireType === WireType.LengthDelimited;
        reader.skip(wireType, field);
      }
    }
    return session.length > 0 ? { session: Buffer.concat(session), hasBatch } : undefined;
  } catch {
    return undefined; // Ingest refuses these bytes with a reason
  }
}

/** The sequence of the batch in a refused request (see readSequence), also of one that is truncated within its batch. */
export function readRequestSequence(request: Uint8Array): bigint {
  const start = findLoneBatch(request) || findTruncatedBatch(request);
  try {
    return readSequence(start > 0 ? request.subarray(start) : unwrapRequest(request));
  } catch (error) {
    if (error instanceof InvalidBatchError) return 0n;
    throw error;
  }
}

/** Where the bytes of a batch begin that the request begins with, and that is longer than the request. */
function findTruncatedBatch(request: Uint8Array): number {
  if (request[0] !== batchTag) return 0;
  let at = 1;
  while (at <= lengthBytesMax && (request[at] ?? 0) >= 0x80) at += 1;
  return at + 1;
}

/** A request has two; more are unknown ones, each of which costs as much as a record. */
const fieldsMax = 1_000;

const batchTag = (1 << 3) | WireType.LengthDelimited;
/** A length of up to 256 MiB, far beyond what is read at all. */
const lengthBytesMax = 4;

function malformed(error: unknown): InvalidBatchError {
  const why = error instanceof Error ? error.message : String(error);
  return new InvalidBatchError("request", `is not an encoded message: ${why}`);
}
