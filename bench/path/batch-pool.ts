import { create, toBinary } from "@bufbuild/protobuf";
import { seededRandom } from "#batch/testing/random.ts";
import { sampleRecord } from "#bench/sample-logs.ts";
import { LogBatchSchema } from "#proto/gen/fleetlog/v1/log_pb.ts";

/** The records of many batches, encoded once; {@link encodeBatch} puts a fresh identity in front of them. */
export type BatchPool = readonly Uint8Array[];

/**
 * `batches` times `recordsPerBatch` realistic records, each 10 ms after the one before and the last one now, so that
 * the times of a round are all distinct.
 */
export function createBatchPool(batches: number, recordsPerBatch: number, seed = 1): BatchPool {
  const random = seededRandom(seed);
  const stepNano = 10_000_000n;
  let time = BigInt(Date.now()) * 1_000_000n - BigInt(batches * recordsPerBatch) * stepNano;
  return Array.from({ length: batches }, () => {
    const records = Array.from({ length: recordsPerBatch }, () => sampleRecord(random, (time += stepNano)));
    return toBinary(LogBatchSchema, create(LogBatchSchema, { records }));
  });
}

/**
 * One LogBatch as a device sends it. Concatenating encoded messages merges them, so the identity is encoded for each
 * send and the records are not.
 */
export function encodeBatch(
  deviceId: string,
  sessionId: string,
  sequence: bigint,
  records: Uint8Array,
): Buffer {
  return Buffer.concat([
    toBinary(LogBatchSchema, create(LogBatchSchema, { deviceId, sessionId, sequence })),
    records,
  ]);
}
