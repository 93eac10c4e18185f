import { BinaryReader, WireType } from "@bufbuild/protobuf/wire";
import { InvalidBatchError } from "#batch/invalid-batch.ts";
import { readSequence } from "#batch/read-sequence.ts";

/** What a request says beside its batch. */
export interface RequestOptions {
  /** The device's uptime as it sent the request; 0n: unknown. */
  readonly uptimeNano: bigint;
  /** How many rejections its ack may list; 0: not said. */
  readonly rejectionsMax: number;
}

/** A PushLogsRequest or StreamLogsRequest, its batch as bytes: empty when it is missing. */
export interface BatchRequest extends RequestOptions {
  readonly batch: Uint8Array;
}

export const noOptions: RequestOptions = { uptimeNano: 0n, rejectionsMax: 0 };

/**
 * Reads an encoded PushLogsRequest or StreamLogsRequest. The batch is a view of it, not copied and not decoded. Several
 * fields `batch` are merged, as protobuf demands, by concatenation. Throws InvalidBatchError when the bytes are not a
 * message.
 */
export function unwrapRequest(request: Uint8Array): BatchRequest {
  const start = findLoneBatch(request);
  return start > 0 ? { ...noOptions, batch: request.subarray(start) } : unwrapSlowly(request);
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

function unwrapSlowly(request: Uint8Array): BatchRequest {
  const parts: Uint8Array[] = [];
  let { uptimeNano, rejectionsMax } = noOptions;
  let fields = 0;
  try {
    const reader = new BinaryReader(request);
    while (reader.pos < reader.len) {
      if (++fields > fieldsMax) throw new Error(`it has more than ${fieldsMax} fields`);
      const [field, wireType] = reader.tag();
      if (field === 1 && wireType === WireType.LengthDelimited) parts.push(reader.bytes());
      else if (field === 3 && wireType === WireType.Bit64) uptimeNano = BigInt(reader.fixed64());
      else if (field === 4 && wireType === WireType.Varint) rejectionsMax = reader.uint32();
      else reader.skip(wireType, field);
    }
  } catch (error) {
    throw malformed(error);
  }
  return { batch: parts.length === 1 ? parts[0]! : Buffer.concat(parts), uptimeNano, rejectionsMax };
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
    return readSequence(start > 0 ? request.subarray(start) : unwrapRequest(request).batch);
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

/** A request has four known fields; each unknown one costs as much as a record. */
const fieldsMax = 1_000;

const batchTag = (1 << 3) | WireType.LengthDelimited;
/** A length of up to 256 MiB, far above the largest request. */
const lengthBytesMax = 4;

function malformed(error: unknown): InvalidBatchError {
  const why = error instanceof Error ? error.message : String(error);
  return new InvalidBatchError("request", `is not an encoded message: ${why}`);
}
