import { create } from "@bufbuild/protobuf";
import type { AllFields } from "#proto/all-fields.ts";
import { type LogEntry, LogEntrySchema } from "#proto/gen/fleetlog/v1/query_pb.ts";
import { timestampFromMicros } from "../fields/time.ts";
import type { FoundLog, RecordValues } from "./read-records.ts";

/** The position of a record, and the fields of its batch. */
export type EntryOrigin = Pick<
  LogEntry,
  "time" | "receivedAt" | "deviceId" | "sessionId" | "sequence" | "index"
>;

/** Fields that are not read yet. */
type UnfilledField = "severityText" | "uptime" | "observedTime" | "isTextRepaired" | "timeSource";

/** A record as every transport returns it. */
export function createLogEntry(origin: EntryOrigin, record: RecordValues): LogEntry {
  return create(LogEntrySchema, {
    time: origin.time,
    receivedAt: origin.receivedAt,
    deviceId: origin.deviceId,
    sessionId: origin.sessionId,
    sequence: origin.sequence,
    index: origin.index,
    severity: record.severity,
    logger: record.logger,
    message: record.message,
    attributes: record.attributes,
    traceId: Buffer.from(record.traceId).toString("hex"),
    spanId: Buffer.from(record.spanId).toString("hex"),
    eventName: record.eventName,
  } satisfies Omit<AllFields<typeof LogEntrySchema>, UnfilledField>);
}

export function toLogEntry({ batch, record, timeMicros, index }: FoundLog): LogEntry {
  const origin = {
    time: timestampFromMicros(timeMicros),
    receivedAt: timestampFromMicros(BigInt(batch.received_micros)),
    deviceId: batch.device_id,
    sessionId: batch.session_id,
    sequence: BigInt(batch.sequence),
    index,
  };
  return createLogEntry(origin, record);
}
