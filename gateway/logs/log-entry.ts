import { create, type JsonObject } from "@bufbuild/protobuf";
import { DurationSchema } from "@bufbuild/protobuf/wkt";
import type { AllFields } from "#proto/all-fields.ts";
import { SeveritySchema } from "#proto/gen/fleetlog/v1/log_pb.ts";
import { type LogEntry, LogEntrySchema } from "#proto/gen/fleetlog/v1/query_pb.ts";
import { timestampFromMicros } from "../fields/time.ts";
import { mergeAttributes } from "./attributes.ts";
import type { FoundLog, RecordValues } from "./read-blocks.ts";

/** The position of a record, and the fields of its batch. */
export interface EntryOrigin
  extends Pick<LogEntry, "time" | "receivedAt" | "deviceId" | "sessionId" | "sequence" | "index"> {
  readonly batchAttributes: JsonObject;
}

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
    attributes: mergeAttributes(origin.batchAttributes, record.attributes),
    traceId: Buffer.from(record.traceId).toString("hex"),
    spanId: Buffer.from(record.spanId).toString("hex"),
    eventName: record.eventName,
    severityText: record.severityText || (severityNames[record.severity] ?? ""),
    uptime: record.uptimeNanos === 0n ? undefined : toDuration(record.uptimeNanos),
    observedTime:
      record.observedMicros === undefined ? undefined : timestampFromMicros(record.observedMicros),
    isTextRepaired: record.isTextRepaired,
    timeSource: record.timeSource,
  } satisfies AllFields<typeof LogEntrySchema>);
}

export function toLogEntry({ batch, batchAttributes, record, timeMicros, index }: FoundLog): LogEntry {
  const origin = {
    time: timestampFromMicros(timeMicros),
    receivedAt: timestampFromMicros(BigInt(batch.received_micros)),
    deviceId: batch.device_id,
    sessionId: batch.session_id,
    sequence: BigInt(batch.sequence),
    index,
    batchAttributes,
  };
  return createLogEntry(origin, record);
}

function toDuration(nanos: bigint) {
  return create(DurationSchema, { seconds: nanos / nanosPerSecond, nanos: Number(nanos % nanosPerSecond) });
}

const nanosPerSecond = 1_000_000_000n;

/** "WARN2" for SEVERITY_WARN2; none for what is not specified. */
const severityNames: Readonly<Record<number, string>> = Object.fromEntries(
  SeveritySchema.values.flatMap(({ number, name }) =>
    number === 0 ? [] : [[number, name.slice("SEVERITY_".length)]],
  ),
);
