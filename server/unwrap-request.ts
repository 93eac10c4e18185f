import { BinaryReader, WireType } from "@bufbuild/protobuf/wire";
import { InvalidBatchError } from "#batch/invalid-batch.ts";
import { readSequence } from "#batch/read-sequence.ts";

/**
 * Returns the bytes of field 1, `batch`, of an encoded PushLogsRequest or StreamLogsRequest: a view, without copying or
 * decoding. Empty when the field is missing. Several fields 1 are merged, as protobuf demands, by concatenation. Throws
 * InvalidBatchError when the bytes are not a message.
 */
export function unwrapRequest(request: Uint8Array): Uint8Array {
  const start = findLoneBatch(request);
  return start > 0 ? request.subarray(start) : unwrapSlowly(request);
}

/** Nearly always the request is one field: tag, length, batch. Returns where the batch begins; 0 for other requests. */
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
export interface EncodedSubscription {
  /** The encoded SessionName of `report_committed`. */
  readonly session: Uint8Array;
  readonly hasBatch: boolean;
}

/**
 * The subscription in an encoded StreamLogsRequest. Undefined when there is none, as in nearly all of them, or when the
 * bytes are malformed, which {@link unwrapRequest} reports. A repeated one is merged, as protobuf demands.
 */
export function readSubscription(request: Uint8Array): EncodedSubscription | undefined {
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

/** The sequence of the batch in a refused request (see readSequence), even when the request ends within its batch. */
export function readRequestSequence(request: Uint8Array): bigint {
  const start = findLoneBatch(request) || findTruncatedBatch(request);
  try {
    return readSequence(start > 0 ? request.subarray(start) : unwrapRequest(request));
  } catch (error) {
    if (error instanceof InvalidBatchError) return 0n;
    throw error;
  }
}

/** Where the batch begins when it is the first field and longer than the rest of the request; else 0. */
function findTruncatedBatch(request: Uint8Array): number {
  if (request[0] !== batchTag) return 0;
  let at = 1;
  while (at <= lengthBytesMax && (request[at] ?? 0) >= 0x80) at += 1;
  return at + 1;
}

/** A request has two known fields; each unknown one costs as much as a record. */
const fieldsMax = 1_000;

const batchTag = (1 << 3) | WireType.LengthDelimited;
/** A length of up to 256 MiB, far above the largest request. */
const lengthBytesMax = 4;

function malformed(error: unknown): InvalidBatchError {
  const why = error instanceof Error ? error.message : String(error);
  return new InvalidBatchError("request", `is not an encoded message: ${why}`);
}
