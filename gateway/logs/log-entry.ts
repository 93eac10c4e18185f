import { create } from "@bufbuild/protobuf";
import type { Severity } from "#proto/gen/fleetlog/v1/log_pb.ts";
import { type LogEntry, LogEntrySchema } from "#proto/gen/fleetlog/v1/query_pb.ts";
import { timestampFromMicros } from "../fields/time.ts";
import type { FoundLog } from "./read-records.ts";

/** A record as every face shows it. */
export function toLogEntry(log: FoundLog): LogEntry {
  return create(LogEntrySchema, {
    time: timestampFromMicros(log.timeMicros),
    receivedAt: timestampFromMicros(BigInt(log.batch.received_micros)),
    deviceId: log.batch.device_id,
    sessionId: log.batch.session_id,
    sequence: BigInt(log.batch.sequence),
    index: log.index,
    severity: log.severity as Severity,
    logger: log.logger,
    message: log.message,
    attributes: log.attributes,
  });
}
