import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { PushLogsRequestSchema, StreamLogsRequestSchema } from "#proto/gen/fleetlog/v1/ingest_pb.ts";
import { LogBatchSchema, type LogRecordSchema, Severity } from "#proto/gen/fleetlog/v1/log_pb.ts";

type BatchInit = MessageInitShape<typeof LogBatchSchema>;

/** Batch `sequence` of a device's session, with `changes`. */
export function makeBatch(sequence: number, changes: BatchInit = {}) {
  return create(LogBatchSchema, {
    deviceId: "device-1",
    sessionId: "boot-1",
    sequence: BigInt(sequence),
    records: [makeRecord(`record of batch ${sequence}`)],
    ...changes,
  });
}

export function makeRecord(
  message: string,
  changes: MessageInitShape<typeof LogRecordSchema> = {},
): MessageInitShape<typeof LogRecordSchema> {
  return { timeUnixNano: 1_700_000_000_000_000_000n, severity: Severity.INFO, message, ...changes };
}

/** The encoded request; the same for PushLogs and StreamLogs. */
export function encodeRequest(batch: BatchInit | undefined): Uint8Array {
  return toBinary(PushLogsRequestSchema, create(PushLogsRequestSchema, batch ? { batch } : {}));
}

/** The encoded request that subscribes to the progress of a session, with or without a batch. */
export function encodeSubscription(sessionId: string, deviceId = "device-1", batch?: BatchInit): Uint8Array {
  const reportCommitted = { deviceId, sessionId };
  return toBinary(
    StreamLogsRequestSchema,
    create(StreamLogsRequestSchema, batch ? { reportCommitted, batch } : { reportCommitted }),
  );
}

/** The encoded request with these bytes as the batch. */
export function wrapBatch(batch: Uint8Array): Uint8Array {
  const size: number[] = [];
  let rest = batch.length;
  for (; rest > 0x7f; rest >>>= 7) size.push((rest & 0x7f) | 0x80);
  return Buffer.concat([Buffer.from([0x0a, ...size, rest]), batch]);
}

/** An encoded batch of exactly `bytes` bytes. */
export function batchOfSize(bytes: number): Uint8Array {
  const records = Array.from({ length: Math.floor(bytes / 60_500) }, () => makeRecord("x".repeat(60_000)));
  const length = (filler: number) =>
    toBinary(LogBatchSchema, makeBatch(1, { records: [...records, makeRecord("y".repeat(filler))] })).length;
  let filler = 200;
  filler += bytes - length(filler);
  while (length(filler) > bytes) filler -= 1;
  return toBinary(LogBatchSchema, makeBatch(1, { records: [...records, makeRecord("y".repeat(filler))] }));
}
